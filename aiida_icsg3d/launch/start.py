"""Start a run: here, with its progress on the terminal, or handed to the daemon."""

from __future__ import annotations

from typing import Any

from aiida import engine
from aiida.orm import Group, ProcessNode

from ..foreground.console import quiet_console
from ..foreground.progress import Reporter, run_with_progress
from ..runner_mark import mark
from .plan import Plan


def hand_over(builder: Any, group: str | None = None) -> ProcessNode:
    """Hand a run to the daemon and return its node.

    :param group: label of a group to put it into, made where there is none.
    :raises ValueError: no daemon is running.
    """
    if not engine.daemon.get_daemon_client().is_daemon_running:
        raise ValueError("the daemon is not running; start it with `verdi daemon start`, or leave --submit out")
    node = engine.submit(builder)
    put_into(group, node)
    return node


def run_here(builder: Any, plan: Plan, group: str | None = None) -> ProcessNode:
    """Run in this interpreter, show how far it is, and return the node at the end.

    :param group: as of :func:`hand_over`.
    """
    with quiet_console():
        reporter = Reporter(plan.planned, plan.expected)

        def began(node: ProcessNode) -> None:
            mark(node)
            put_into(group, node)

        return run_with_progress(builder, reporter, began=began)


def put_into(group: str | None, node: ProcessNode) -> None:
    """Put a run into a group, where one is wanted."""
    if group is not None:
        found, _ = Group.collection.get_or_create(group)
        found.add_nodes([node])
