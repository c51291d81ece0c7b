"""Tables in the terminal."""

from __future__ import annotations

from typing import Any


def print_table(rows: list[list[Any]], headers: list[str], nothing: str) -> None:
    """Print rows under headers, or say that there are none."""
    from aiida.cmdline.utils import echo
    from tabulate import tabulate

    if rows:
        echo.echo(tabulate(rows, headers=headers, disable_numparse=True))
    else:
        echo.echo_report(nothing)


def flatten(prefix: str, content: dict[str, Any]) -> list[list[Any]]:
    """Return nested content as rows of dotted names and values."""
    rows: list[list[Any]] = []
    for name, value in content.items():
        if isinstance(value, dict):
            rows += flatten(f"{prefix}.{name}", value)
        else:
            text = str(value)
            rows.append([f"{prefix}.{name}", text if len(text) <= 100 else f"{text[:97]}..."])
    return rows
