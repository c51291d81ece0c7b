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


def finished(process: Any, outputs: dict[str, Any], exit_status: int = 0, message: str = "") -> orm.WorkChainNode:
    """Return a stored WorkChain that ended with these outputs (`a__b` for namespaces)."""
    node = orm.WorkChainNode(process_type=process.build_process_type())
    node.set_process_label(process.__name__)
    node.set_process_state("finished")
    node.set_exit_status(exit_status)
    node.set_exit_message(message)
    node.store()
    for label, output in outputs.items():
        creator = orm.CalcFunctionNode().store()
        output.base.links.add_incoming(creator, link_type=LinkType.CREATE, link_label="result")
        output.store()
        output.base.links.add_incoming(node, link_type=LinkType.RETURN, link_label=label)
    return node
