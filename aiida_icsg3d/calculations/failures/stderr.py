"""What a job that failed says of itself in the files that it left."""

from __future__ import annotations

from typing import Any

from aiida.orm import CalcJobNode, ProcessNode

FILES = ("icsg3d.err", "_scheduler-stderr.txt", "CRASH")
"""Retrieved files that tell of an error, those that tell most first."""


def retrieved_text(node: CalcJobNode, name: str) -> str:
    """Return the text of a retrieved file, empty where it was not retrieved."""
    found = node.base.links.get_outgoing(link_label_filter="retrieved").all()
    folder: Any = found[0].node if found else None
    if folder is None or name not in folder.base.repository.list_object_names():
        return ""
    return str(folder.base.repository.get_object_content(name, mode="rb").decode("utf-8", errors="replace"))


def error_lines(node: ProcessNode) -> tuple[str, list[str]] | None:
    """Return name and lines of the first file of :data:`FILES` that holds something."""
    if not isinstance(node, CalcJobNode):
        return None
    for name in FILES:
        if lines := [line.rstrip() for line in retrieved_text(node, name).splitlines() if line.strip()]:
            return name, lines
    return None


def all_error_lines(node: CalcJobNode) -> list[str]:
    """Return the lines of all these files."""
    return [line.rstrip() for name in FILES for line in retrieved_text(node, name).splitlines() if line.strip()]


def last_line(text: str | None) -> str:
    """Return the last line that says something."""
    lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
    return lines[-1] if lines else ""
