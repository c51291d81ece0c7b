"""The screening table as it stands in the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from icsg3d_models.screening import table as schema

if TYPE_CHECKING:
    from aiida.orm import SinglefileData


def read_table(table: SinglefileData) -> list[dict[str, Any]]:
    """Return the rows of the screening table in a node.

    :raises ValueError: a column is missing, or a cell is not what its column holds.
    """
    with table.open(mode="r") as stream:
        return schema.read_table(stream)


def rank_key(row: dict[str, Any]) -> tuple[bool, float]:
    """Return a key that puts rank 1 first and what was not ranked last."""
    rank = row.get("rank")
    return (not isinstance(rank, (int, float)), float(rank) if isinstance(rank, (int, float)) else 0.0)
