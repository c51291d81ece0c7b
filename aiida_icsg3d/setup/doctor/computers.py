"""A computer: can it be reached, is there space, does its queue answer?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiida import orm
from aiida.common.escaping import escape_for_bash

from .finding import Finding, note, ok, wrong
from .profile import disk_finding

PATIENCE = 60
"""Seconds that a command on a computer may take."""


@contextmanager
def opened(computer: orm.Computer) -> Iterator[Any]:
    """Open the transport to a computer."""
    with computer.get_transport() as transport:
        yield transport


def run_there(transport: Any, script: str, folder: str | None = None) -> tuple[int, str, str]:
    """Run lines of bash on a computer and return exit status, output and errors.

    :param script: as it would stand in the script of a job.
    """
    limited = f"$(command -v timeout >/dev/null 2>&1 && echo timeout {PATIENCE}) bash -c {escape_for_bash(script)}"
    status, out, err = transport.exec_command_wait(limited, **({"workdir": folder} if folder else {}))
    return int(status), str(out), str(err)


def work_folder(computer: orm.Computer, transport: Any) -> str:
    """Return the folder in which jobs run."""
    return str(computer.get_workdir().format(username=transport.whoami()))


def look_at_computer(computer: orm.Computer, transport: Any) -> Iterator[Finding]:
    """Yield what there is to say of a computer that is reached: its folder, space and queue."""
    what, folder = f"computer {computer.label}", work_folder(computer, transport)
    status, out, err = run_there(
        transport,
        f"mkdir -p {escape_for_bash(folder)} && cd {escape_for_bash(folder)} && touch .icsg3d-doctor && "
        "rm .icsg3d-doctor && df -Pk . | tail -n 1",
    )
    if status != 0:
        yield wrong(what, f"cannot write to {folder}: {last(err)}", "choose another `workdir`: aiida-icsg3d setup")
        return
    yield ok(what, f"reached through {computer.transport_type}, jobs run in {folder}")
    try:
        free = float(out.split()[3]) * 1024
    except (IndexError, ValueError):
        yield note(f"disk of {computer.label}", f"how much is free cannot be told: df says {out.strip()!r}")
    else:
        yield disk_finding(f"disk of {computer.label}", free, folder)
    yield look_at_queue(computer, transport)


def look_at_queue(computer: orm.Computer, transport: Any) -> Finding:
    """Return whether the scheduler answers."""
    what = f"queue of {computer.label}"
    scheduler = computer.get_scheduler()
    scheduler.set_transport(transport)
    by_user = {"user": transport.whoami()} if scheduler.get_feature("can_query_by_user") else {"jobs": ["1"]}
    try:
        scheduler.get_jobs(**by_user)
    except Exception as exception:  # each scheduler raises its own
        return wrong(what, f"{computer.scheduler_type} does not answer: {last(str(exception))}",
                     "see that its commands are on the PATH of a login there")  # fmt: skip
    return ok(what, f"{computer.scheduler_type} answers")


def last(text: str) -> str:
    """Return the last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
