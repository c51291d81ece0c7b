"""A table with a column of CIFs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...results import StageError
from .record import CifText, Found, Record, Request, Unreadable
from .table import meant, read_table


def read_cif_table(path: Path, request: Request) -> Found:
    """Return one record a row of a .csv or .tsv, plain or compressed.

    :raises StageError: no table, or a column is missing.
    """
    records, named = [], False
    with open(path, "rb") as stream:
        needed = [request.cif_column, *request.columns.values(), *([request.id_column] if request.id_asked else [])]
        for row in read_table(stream, str(path), needed, [request.id_column]):
            named = named or request.id_column in row.cells
            name = (row.cells.get(request.id_column) or "").strip() or f"row-{row.number}"
            values: dict[str, Any] = {key: row.cells.get(column) for key, column in request.columns.items()}
            read = Unreadable(row.damage) if row.damage else CifText(row.cells[request.cif_column].lstrip("\ufeff"))
            records.append(Record(name, read, values))
    if not records:
        raise StageError("input_unreadable", f"{path}: a table without rows")
    notes = [] if named else [f"no column {request.id_column}: the crystals are named row-1, row-2, ..."]
    return Found(records, notes)


def refuse_unknown_keys(request: Request, known: dict[str, int], where: str) -> None:
    """Refuse properties whose key no crystal of the source has.

    :param known: key -> number of crystals that have it.
    :raises StageError: with what there is.
    """
    missing = [column for column in request.columns.values() if not known.get(column)]
    if request.id_asked and not known.get(request.id_column):
        missing.append(request.id_column)
    if missing:
        raise StageError("input_incompatible", f"{where}: no crystal has {', '.join(missing)}; there are "
                         f"{', '.join(sorted(known)[:40]) or 'no properties'}{meant(missing, known)}")  # fmt: skip
