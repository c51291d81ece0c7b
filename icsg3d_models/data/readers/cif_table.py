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
    records, named, said = [], False, Twice()
    with open(path, "rb") as stream:
        needed = [request.cif_column, *request.columns.values(), *([request.id_column] if request.id_asked else [])]
        for row in read_table(stream, str(path), needed, [request.id_column]):
            named = named or request.id_column in row.cells
            name = (row.cells.get(request.id_column) or "").strip() or f"row-{row.number}"
            values: dict[str, Any] = {key: row.cells.get(column) for key, column in request.columns.items()}
            read = Unreadable(row.damage) if row.damage else CifText(row.cells[request.cif_column].lstrip("\ufeff"))
            record = Record(name, read, values)
            if said.is_new(record):
                records.append(record)
    if not records:
        raise StageError("input_unreadable", f"{path}: a table without rows")
    notes = [] if named else [f"no column {request.id_column}: the crystals are named row-1, row-2, ..."]
    return Found(said.refuse_contradictions(records), [*notes, *said.notes])


class Twice:
    """Rows that are there twice: one name with one CIF. The same values again are no news, others a contradiction."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], Record] = {}
        self._again: list[str] = []
        self._unclear: dict[str, str] = {}

    def is_new(self, record: Record) -> bool:
        """Return whether a record is to be kept."""
        if not isinstance(record.read, CifText):
            return True
        first = self._first.setdefault((record.id, record.read.text), record)
        if first is record:
            return True
        if differing := [name for name, value in record.values.items() if value != first.values[name]]:
            self._unclear[record.id] = f"two rows name {record.id} with one CIF and differ in {', '.join(differing)}"
        else:
            self._again.append(record.id)
        return False

    def refuse_contradictions(self, records: list[Record]) -> list[Record]:
        """Return the records, without a crystal where rows contradict one another."""
        return [Record(r.id, Unreadable(self._unclear[r.id])) if r.id in self._unclear else r for r in records]

    @property
    def notes(self) -> list[str]:
        """What the user should know."""
        again = self._again
        shown = ", ".join(again[:3]) + (", ..." if len(again) > 3 else "")
        return [f"{len(again)} rows are there twice and were taken once ({shown})"] if again else []


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
