"""Phonons that were computed of a relaxed crystal by DFT, read from the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiida.orm import StructureData

PROCESS = "PhononsWorkChain"


def phonons_of(structure: StructureData) -> Any:
    """Return the newest PhononsWorkChain of a relaxed crystal that gave modes, None where there is none."""
    from aiida.common.links import LinkType
    from aiida.orm import WorkChainNode

    links = structure.base.links.get_outgoing(node_class=WorkChainNode, link_type=LinkType.INPUT_WORK).all()
    nodes = [link.node for link in links if link.node.process_label == PROCESS and "modes" in link.node.outputs]
    return max(nodes, key=lambda one: one.pk or 0) if nodes else None


def in_words(node: Any) -> str:
    """Return what a PhononsWorkChain found, in a sentence."""
    modes = node.outputs.modes.get_dict()
    cells = " x ".join(str(n) for n in modes["supercell"])
    lowest, at = modes["lowest_frequency_THz"], ", ".join(f"{q:.3g}" for q in modes["wave_vector"])
    where = f"at ({at}), of what fits into {cells} cells"
    if modes["dynamically_stable"]:
        return f"dynamically stable by DFT: the lowest mode has {lowest:.1f} THz {where}"
    said = f"not dynamically stable by DFT: an imaginary mode of {-lowest:.1f} THz {where}"
    if "followed" not in node.outputs:
        return said
    found = node.outputs.followed.get_dict()
    gain = 1e3 * found["lower_by_eV_per_atom"]
    if not found["is_lower"]:
        return f"{said}; nothing lower along it"
    return f"{said}, which leads to {found['spacegroup_symbol']}, {gain:.1f} meV/atom lower"
