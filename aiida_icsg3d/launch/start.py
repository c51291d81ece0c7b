"""Start a run: here, with its progress on the terminal, or handed to the daemon."""

from __future__ import annotations

from typing import Any

from aiida import engine
from aiida.orm import ProcessNode

from ..foreground.console import quiet_console
from ..foreground.progress import Reporter, run_with_progress
from .plan import Plan


def hand_over(builder: Any) -> ProcessNode:
    """Hand a run to the daemon and return its node.

    :raises ValueError: no daemon is running.
    """
    if not engine.daemon.get_daemon_client().is_daemon_running:
        raise ValueError("the daemon is not running; start it with `verdi daemon start`, or leave --submit out")
    return engine.submit(builder)


def run_here(builder: Any, plan: Plan) -> ProcessNode:
    """Run in this interpreter, show how far it is, and return the node at the end."""
    with quiet_console():
        return run_with_progress(builder, Reporter(plan.planned, plan.expected))
