"""Phonons that were computed of a relaxed crystal by DFT, read from the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...workflows.summary import OF_MODES
from .runs import runs_on

if TYPE_CHECKING:
    from aiida.orm import StructureData

PROCESS = "PhononsWorkChain"


def phonons_of(structure: StructureData) -> Any:
    """Return the newest PhononsWorkChain of a relaxed crystal that gave modes, None where there is none."""
    return next((node for node in runs_on(structure, PROCESS) if "modes" in node.outputs), None)


def said_of_phonons(structure: StructureData) -> str | None:
    """Return what is known of the phonons of a relaxed crystal, or why it is not; None where nobody asked."""
    if (node := phonons_of(structure)) is not None:
        return in_words(node)
    failed = [node for node in runs_on(structure, PROCESS) if node.is_terminated and not node.is_finished_ok]
    if not failed:
        return None
    newest = failed[0]
    return f"phonons by DFT failed: {newest.exit_message or newest.process_state} (PK {newest.pk})"


def figures_of_modes(structure: StructureData) -> dict[str, Any]:
    """Return what the newest phonons by DFT say of a relaxed crystal, by the names of the summary; {}: there are none.

    ``dynamically_stable``, and ``lowest_frequency_THz``, negative where it is imaginary.
    """
    node = phonons_of(structure)
    return {} if node is None else {key: node.outputs.modes[key] for key in OF_MODES}


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
