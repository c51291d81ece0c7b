"""Stored process nodes, as processes leave them."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import ProcessState


def process(label: str, ended: bool, caller: orm.ProcessNode | None = None, node: Any = None) -> orm.ProcessNode:
    """Return a stored process node, running or ended, perhaps called by another."""
    node = node or orm.WorkChainNode()
    node.set_process_label(label)
    node.set_process_state(ProcessState.FINISHED if ended else ProcessState.RUNNING)
    if ended:
        node.set_exit_status(0)
    if caller is not None:
        link = LinkType.CALL_CALC if isinstance(node, orm.CalcJobNode) else LinkType.CALL_WORK
        node.base.links.add_incoming(caller, link_type=link, link_label=f"call_{label}_{len(caller.called)}")
    return node.store()
