"""Why a process did not end well: the real reason, from the process in which the failure began."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...calculations.exit_codes import label_of
from ...calculations.failures.stderr import error_lines, last_line
from ...dft.quantum_espresso.pw_failures import innermost_failure

if TYPE_CHECKING:
    from aiida.orm import ProcessNode

HEAD, TAIL = 3, 5
"""How many lines of such a file are shown; a traceback has its reason at the end."""


@dataclass(frozen=True)
class Cause:
    """Where and why a run failed.

    :param label: process label of the process in which it began.
    :param pk: of that process.
    :param ended: how it ended: exit status, `exception` or `killed`.
    :param words: what it says itself.
    :param stderr: name of a file with more, and its lines; None where there is none.
    """

    label: str
    pk: int
    ended: str
    words: str
    stderr: tuple[str, list[str]] | None = None

    @property
    def line(self) -> str:
        """All of it but the file, in one line."""
        return f"{self.label}<{self.pk}> ended with {self.ended}: {self.words}"

    @property
    def text(self) -> str:
        """All of it."""
        if self.stderr is None:
            return self.line
        name, lines = self.stderr
        return "\n".join([self.line, f"  {name}:", *(f"  | {line}" for line in lines)])


def cause_of(node: ProcessNode) -> Cause | None:
    """Return why a process did not end well, None where it did or has not ended."""
    if not node.is_terminated or node.is_finished_ok:
        return None
    inner = innermost_failure(node)
    if inner.is_excepted:
        ended, words = "an exception", last_line(inner.exception) or last_error(inner)
    elif inner.is_killed:
        ended, words = "a kill", inner.process_status or "no reason given"
    else:
        ended, words = str(inner.exit_status), inner.exit_message or in_words(label_of(inner))
    return Cause(inner.process_label or type(inner).__name__, inner.pk or 0, ended, words, stderr_of(inner))


def pause_reason(node: ProcessNode) -> str:
    """Return why a process is paused: its status, and the exception behind it where the log has one."""
    status = node.process_status or "paused by the user"
    error = last_error(node)
    return f"{status} ({error})" if error and error not in status else status


def last_error(node: ProcessNode) -> str:
    """Return the last line of the last error in the log of a process: the exception; empty where there is none."""
    from aiida.orm import Log

    logged = [entry for entry in Log.collection.get_logs_for(node) if entry.levelname == "ERROR"]
    return last_line(logged[-1].message) if logged else ""


def in_words(label: str | None) -> str:
    """Return the label of an exit status in words, where the process says nothing more."""
    return label.removeprefix("ERROR_").replace("_", " ").lower() if label else "no message"


def stderr_of(node: ProcessNode) -> tuple[str, list[str]] | None:
    """Return the first file of a job that tells of an error, shortened in its middle."""
    found = error_lines(node)
    if found is None or len(found[1]) <= HEAD + TAIL:
        return found
    name, lines = found
    return name, [*lines[:HEAD], "...", *lines[-TAIL:]]
