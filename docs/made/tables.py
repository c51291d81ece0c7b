"""Markdown that all made pages use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table of Markdown."""
    lines = [f"| {' | '.join(headers)} |", "|" + "---|" * len(headers)]
    lines += [f"| {' | '.join(cell(value) for value in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def cell(value: object) -> str:
    """Return a text as it may stand in a cell."""
    return prose("" if value is None else str(value)).replace("|", "\\|")


def prose(text: str) -> str:
    """Return a docstring or help as Markdown: one paragraph, ReST's code and references as code."""
    text = re.sub(r":(?:class|func|meth|mod|data|exc|attr):`[~.]*([^`]*)`", r"`\1`", text)
    text = " ".join(text.replace("``", "`").split())
    return re.sub(r"<(?=[A-Za-z/])", "&lt;", text)


def code(text: object) -> str:
    """Return a word as code."""
    return f"`{text}`"


def message(text: str) -> str:
    """Return the message of an exit code, what is filled in as code; Markdown would take it for an attribute."""
    return re.sub(r"\{(\w+)[^}]*\}", r"`{\1}`", text)
