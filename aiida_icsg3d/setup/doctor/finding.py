"""What was looked at and how it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "wrong"]


@dataclass(frozen=True)
class Finding:
    """One line of the doctor.

    :param what: was looked at.
    :param level: `ok`; `note`: a run goes without it, or only some runs do; `wrong`: it must be mended.
    :param words: how it is.
    :param todo: what to do about it.
    """

    what: str
    level: Level
    words: str
    todo: str = ""


def ok(what: str, words: str) -> Finding:
    """Return a finding that nothing has to be done about."""
    return Finding(what, "ok", words)


def wrong(what: str, words: str, todo: str) -> Finding:
    """Return a finding that must be mended."""
    return Finding(what, "wrong", words, todo)


def note(what: str, words: str, todo: str = "") -> Finding:
    """Return a finding that matters for some runs only."""
    return Finding(what, "note", words, todo)
