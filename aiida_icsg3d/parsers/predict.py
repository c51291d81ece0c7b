"""Parser of the stage ``predict``."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from aiida.orm import SinglefileData

from ..calculations.prediction.predict import CRYSTALS, TABLE
from .base import OutputError, StageParser
from .rebuild import read_crystal_file, structures


class PredictParser(StageParser):
    """Make every distinct crystal a node, and the table one."""

    def attach_outputs(self, results: dict[str, Any]) -> None:
        """Attach ``table`` and ``crystals.ID``."""
        rows = {row["id"]: row for row in self.read_output(TABLE, read_rows)}
        crystals = self.read_output(CRYSTALS, read_crystal_file)
        if set(crystals.ids) != set(rows):
            message = f"{TABLE} and {CRYSTALS} do not hold the same crystals"
            raise OutputError(self.exit_codes.ERROR_OUTPUT_UNREADABLE.format(message=message))
        self.out("table", self.read_output(TABLE, lambda path: SinglefileData(path, filename=TABLE)))
        words = {
            name: f"rank {row['rank']}, {row['found']} samples, {row['space_group']}" for name, row in rows.items()
        }
        for (name, node), identifier in zip(structures(crystals, int(results["seed"])), crystals.ids, strict=True):
            node.description = words[identifier]
            self.out(f"crystals.{name}", node)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of the table.

    :raises ValueError: a column is missing.
    """
    with open(path, newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    if rows and (missing := {"id", "rank", "found", "space_group"} - set(rows[0])):
        raise ValueError(f"no columns {', '.join(sorted(missing))}")
    return rows
