"""WorkChains that were run on a relaxed crystal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiida.orm import StructureData


def runs_on(structure: StructureData, label: str) -> list[Any]:
    """Return the WorkChains of a process label that took a crystal, the newest first."""
    from aiida.common.links import LinkType
    from aiida.orm import WorkChainNode

    links = structure.base.links.get_outgoing(node_class=WorkChainNode, link_type=LinkType.INPUT_WORK).all()
    found = [link.node for link in links if link.node.process_label == label]
    return sorted(found, key=lambda one: one.pk or 0, reverse=True)


def newest_on(structure: StructureData, label: str) -> Any:
    """Return the newest of them that ended well, None where none did."""
    return next((node for node in runs_on(structure, label) if node.is_finished_ok), None)
