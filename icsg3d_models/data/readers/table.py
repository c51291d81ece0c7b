"""Tables of text: comma, semicolon or tab between the columns, which are named by the first line."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO

from ...results import StageError
from .text import lines_of

_BETWEEN = (",", ";", "\t", "|")
_LARGEST_FIELD = 50_000_000


@dataclass(frozen=True)
class Row:
    """One row: column -> text.

    :param damage: what is wrong with it, empty where nothing is.
    """

    number: int
    cells: dict[str, str]
    damage: str = ""


def read_table(stream: IO[bytes], name: str, needed: Iterable[str], optional: Iterable[str] = ()) -> Iterator[Row]:
    """Yield the rows of a table after checking its columns.

    :param needed: columns that have to be there.
    :param optional: columns that are read where they are there; not twice either.
    :raises StageError: no table, a column is missing, or there twice.
    """
    csv.field_size_limit(_LARGEST_FIELD)
    needed = list(dict.fromkeys(needed))
    lines, number = lines_of(stream, name), 0
    try:
        first = next((line for line in lines if line.strip()), None)
        if first is None:
            raise StageError("input_unreadable", f"{name}: an empty table")
        between, header = _header(first, needed)
        _check_columns(header, name, needed, list(optional))
        reader = csv.reader(lines, delimiter=between, strict=True)
        for number, fields in enumerate((f for f in reader if f), 1):
            damage = ""
            if len(fields) != len(header):
                damage = f"row {number} of {name} has {len(fields)} of {len(header)} columns: it is cut off or damaged"
            yield Row(number, dict(zip(header, fields, strict=False)), damage)
    except csv.Error as exception:
        if "unexpected end of data" not in str(exception):
            raise StageError("input_unreadable", f"{name}: not readable as CSV ({exception})") from exception
        yield Row(number + 1, {}, f"{name} is cut off in its last row")
    except ValueError as exception:
        raise StageError("input_unreadable", f"{name}: not readable as CSV ({exception})") from exception


def _header(line: str, needed: list[str]) -> tuple[str, list[str]]:
    """Return what is between the columns, and their names."""
    readings = []
    for between in _BETWEEN:
        try:
            names = [name.strip() for name in next(csv.reader([line], delimiter=between, strict=True))]
        except csv.Error:
            continue
        if all(name in names for name in needed):
            return between, names
        readings.append((len(names), between, names))
    if not readings:
        raise csv.Error("the first line does not name columns")
    _, between, names = max(readings, key=lambda reading: reading[0])
    return between, names


def _check_columns(header: list[str], name: str, needed: list[str], optional: list[str]) -> None:
    """Refuse a table without a column that is needed, or with two of that name.

    :raises StageError: with what there is.
    """
    if missing := [column for column in needed if column not in header]:
        raise StageError("input_unreadable", f"{name}: no column {', '.join(missing)}; the file has "
                         f"{', '.join(filter(None, header)) or 'none'}{meant(missing, header)}")  # fmt: skip
    if twice := [column for column in dict.fromkeys([*needed, *optional]) if header.count(column) > 1]:
        raise StageError("input_unreadable", f"{name}: the column {', '.join(twice)} is there more than once; "
                         "which one counts cannot be told, rename one")  # fmt: skip


def meant(missing: list[str], known: Iterable[str]) -> str:
    """Return a question after what was meant, empty where nothing is like it."""
    known = [name for name in known if name]
    lower = {name.lower(): name for name in known}
    close = [lower.get(m.lower()) or next(iter(difflib.get_close_matches(m, known, 1)), "") for m in missing]
    return f"; is {', '.join(filter(None, close))} meant?" if any(close) else ""
