"""Parser of the stage ``screen``."""

from __future__ import annotations

from typing import Any

from aiida.orm import Dict, SinglefileData

from icsg3d_models.screening.table import FILE as TABLE
from icsg3d_models.screening.table import read_table

from ..values import storable
from .base import OutputError, StageParser


class ScreenParser(StageParser):
    """Attach the table and the selected candidates."""

    def attach_outputs(self, results: dict[str, Any]) -> None:
        """Attach ``table`` and ``selected``."""
        attach_screening(self, results)


def attach_screening(parser: StageParser, results: dict[str, Any]) -> None:
    """Attach ``table`` and ``selected`` of the retrieved table.

    :param results: of the screening.
    :raises OutputError: the table is missing, cannot be used, or lacks a selected crystal.
    """
    rows = {row["id"]: row for row in parser.read_output(TABLE, read_table)}
    parser.out("table", parser.read_output(TABLE, lambda path: SinglefileData(path, filename=TABLE)))
    selected = results["tables"].get("selected", [])
    unknown = [name for name in selected if name not in rows]
    if unknown:
        message = f"{TABLE}: the selected crystals {', '.join(unknown)} are not in the table"
        raise OutputError(parser.exit_codes.ERROR_OUTPUT_UNREADABLE.format(message=message))
    parser.out("selected", Dict({"ids": selected, "rows": storable({name: rows[name] for name in selected})}))
