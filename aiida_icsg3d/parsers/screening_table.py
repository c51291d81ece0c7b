"""The table screening.csv: its columns, and its rows as typed values."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from aiida.orm import SinglefileData

TEXT = ("id", "formula", "spacegroup_symbol", "duplicate_of", "reason")
WHOLE = ("rank", "n_sites", "spacegroup_number")
LENGTHS = ("a", "b", "c", "alpha", "beta", "gamma", "volume")  # Å, degrees, Å³
TESTS = ("structure_valid", "composition_valid", "unique", "novel", "selected")
COLUMNS = (*TEXT[:4], *WHOLE, *LENGTHS, *TESTS)
"""Columns every table has; ``predicted_<property>`` and ``uncertainty_<property>`` come on top, and notes."""

_TRUTH = {"true": True, "1": True, "false": False, "0": False}


def read_table(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a screening table, empty cells as None.

    Columns are typed by name: the formulas InF and NaN look like numbers.

    :raises ValueError: a column is missing, or a cell is not what its column holds.
    """
    with open(path, encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"no column {', '.join(missing)}; the file has {', '.join(reader.fieldnames or ())}")
        return [typed_row(row) for row in reader]


def typed_row(row: dict[str, str]) -> dict[str, Any]:
    """Return one row with numbers and truth values in place of text.

    :raises ValueError: a cell is not what its column holds.
    """
    if None in row.values():
        raise ValueError(f"the row of {row['id']} is cut off")
    typed: dict[str, Any] = {}
    for name, cell in row.items():
        if cell == "":
            typed[name] = None
        elif name in TEXT:
            typed[name] = cell
        elif name in (*TESTS, "novel_composition"):
            if cell.lower() not in _TRUTH:
                raise ValueError(f"{row['id']}: {name} is {cell!r}; true or false is needed")
            typed[name] = _TRUTH[cell.lower()]
        else:
            try:
                typed[name] = int(cell) if name in WHOLE else float(cell)
            except ValueError:
                raise ValueError(f"{row['id']}: {name} is {cell!r}; a number is needed") from None
    return typed


def rows_of(table: SinglefileData) -> list[dict[str, Any]]:
    """Return the rows of the table in a node."""
    with table.as_path() as path:
        return read_table(path)
