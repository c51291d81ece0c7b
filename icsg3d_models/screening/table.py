"""The screening table: one schema, written and read here only. No torch, no aiida.

One row a crystal. Beside the columns below there are, of every property that is predicted,
``predicted_<property>`` and ``uncertainty_<property>``. Tables of earlier releases lack the later columns.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from .column import Column
from .criteria import CRITERIA

FILE = "screening.csv"
PREDICTED, UNCERTAINTY = "predicted_", "uncertainty_"
_OF_THE_CRYSTAL = (
    Column("rank", "whole", "", "place among the selected, best first; empty: not selected"),
    Column("id", "text", "", "name of the crystal within the run"),
    Column("formula", "text", "", "reduced formula, as pymatgen writes it"),
    Column("n_sites", "whole", "", "atoms in the cell"),
    Column("spacegroup_symbol", "text", "", "international symbol of the space group found within 0.1 Å"),
    Column("spacegroup_number", "whole", "", "its number, 1 to 230"),
    Column("a", "number", "Å", "length of the first cell vector"),
    Column("b", "number", "Å", "length of the second"),
    Column("c", "number", "Å", "length of the third"),
    Column("alpha", "number", "degrees", "angle between b and c"),
    Column("beta", "number", "degrees", "angle between a and c"),
    Column("gamma", "number", "degrees", "angle between a and b"),
    Column("volume", "number", "Å³", "volume of the cell"),
)
_OF_THE_SCREENING = (
    Column("selected", "truth", "", "passed all that is required, and among the best"),
    Column("reason", "text", "", "why it is out; empty where it passes all that is required"),
    Column("note", "text", "", "what else speaks against it, though it was not required"),
)
COLUMNS: dict[str, Column] = {
    column.name: column
    for column in (*_OF_THE_CRYSTAL, *(c for criterion in CRITERIA for c in criterion.columns), *_OF_THE_SCREENING)
}
# what every table has ever had; the rest came later, or is there only where it was judged
NEEDED = (
    *(column.name for column in _OF_THE_CRYSTAL),
    *("structure_valid", "composition_valid", "unique", "duplicate_of", "novel", "selected"),
)
_TRUTH = {"true": True, "1": True, "false": False, "0": False}
_DIGITS = {"number": ".6f"}


def column_of(name: str) -> Column:
    """Return what a column holds; of an unknown one, of a later release, the text as it stands."""
    if name in COLUMNS:
        return COLUMNS[name]
    if name.startswith(PREDICTED):
        return Column(name, "number", "of the property", "mean of the models' predictions")
    if name.startswith(UNCERTAINTY):
        return Column(name, "number", "of the property", "one standard deviation")
    return Column(name, "text", "", "of another release")


def header(properties: Iterable[str]) -> list[str]:
    """Return the names of all columns, in their order.

    :param properties: that are predicted.
    """
    predicted = [kind + name for name in properties for kind in (PREDICTED, UNCERTAINTY)]
    names = list(COLUMNS)
    place = len(_OF_THE_CRYSTAL)
    return [*names[:place], *predicted, *names[place:]]


def write_table(path: Path, names: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a table so that a reader sees the old one or the whole new one.

    :param names: columns, see :func:`header`.
    :param rows: column -> value; None, NaN or left out: an empty cell.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open(temporary, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(names)
        writer.writerows([as_text(name, row.get(name)) for name in names] for row in rows)
    os.replace(temporary, path)


def as_text(name: str, value: Any) -> str:
    """Return a cell: predictions with six digits, lengths with six decimals, nothing for what is not there."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if column_of(name).kind == "number":
        return f"{value:.6g}" if name.startswith((PREDICTED, UNCERTAINTY)) else f"{value:.6f}"
    return str(value)


def read_table(source: Path | TextIO) -> list[dict[str, Any]]:
    """Return the rows of a screening table, empty cells as None.

    Columns are typed by name: the formulas InF and NaN look like numbers.

    :raises ValueError: a column is missing, or a cell is not what its column holds.
    """
    if isinstance(source, Path):
        with open(source, encoding="utf-8", newline="") as stream:
            return list(_rows(stream))
    return list(_rows(source))


def _rows(stream: TextIO) -> Iterator[dict[str, Any]]:
    reader = csv.DictReader(stream)
    missing = [name for name in NEEDED if name not in (reader.fieldnames or ())]
    if missing:
        raise ValueError(f"no column {', '.join(missing)}; the file has {', '.join(reader.fieldnames or ())}")
    for row in reader:
        if None in row.values():
            raise ValueError(f"the row of {row['id']} is cut off")
        yield {name: _typed(row["id"], name, cell) for name, cell in row.items()}


def _typed(identifier: str, name: str, cell: str) -> Any:
    """Return a cell as its column holds it.

    :raises ValueError: it is something else.
    """
    kind = column_of(name).kind
    if cell == "":
        return None
    if kind == "text":
        return cell
    if kind == "truth":
        if cell.lower() not in _TRUTH:
            raise ValueError(f"{identifier}: {name} is {cell!r}; true or false is needed")
        return _TRUTH[cell.lower()]
    try:
        return int(cell) if kind == "whole" else float(cell)
    except ValueError:
        raise ValueError(f"{identifier}: {name} is {cell!r}; a number is needed") from None
