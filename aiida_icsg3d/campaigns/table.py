"""The screening table as it stands in the graph, read back with the type of each column."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiida.orm import SinglefileData

TEXT = ("id", "formula", "spacegroup_symbol", "duplicate_of", "reason")
TRUTH = ("structure_valid", "composition_valid", "unique", "novel", "selected", "novel_composition")


def convert(name: str, text: str) -> Any:
    """Return a cell of the table by its column: text, truth value or number; empty and NaN become None.

    Typed by the column, because the formulas InF and NaN look like numbers.
    """
    if name in TEXT:
        return text or None
    if text.lower() in ("", "nan", "none"):
        return None
    if name in TRUTH:
        return text.lower() in ("true", "1")
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def read_table(table: SinglefileData) -> list[dict[str, Any]]:
    """Return the rows of a screening table."""
    with table.open(mode="r") as stream:
        return [{n: convert(n, value or "") for n, value in row.items()} for row in csv.DictReader(stream)]


def rank_key(row: dict[str, Any]) -> tuple[bool, float]:
    """Return a key that puts rank 1 first and what was not ranked last."""
    rank = row.get("rank")
    return (not isinstance(rank, (int, float)), float(rank) if isinstance(rank, (int, float)) else 0.0)
