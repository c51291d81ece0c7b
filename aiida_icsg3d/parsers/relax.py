"""Parser of the stage ``relax``."""

from __future__ import annotations

from typing import Any

from aiida.orm import SinglefileData

from icsg3d_models.relaxation.table import read_table

from ..calculations.relax import RELAXED, TABLE
from .base import OutputError, StageParser
from .rebuild import link_label, read_crystal_file, structures


class RelaxParser(StageParser):
    """Make every relaxed crystal a node, and the table one."""

    def attach_outputs(self, results: dict[str, Any]) -> None:
        """Attach ``table`` and ``crystals.ID``; where the wall time ended the job, those that are done."""
        rows = {row["id"]: row for row in self.read_output(TABLE, read_table)}
        self.out("table", self.read_output(TABLE, lambda path: SinglefileData(path, filename=TABLE)))
        crystals = self.read_output(RELAXED, read_crystal_file)
        unknown = sorted(set(crystals.ids) - set(rows))
        if unknown:
            message = f"{RELAXED}: the crystals {', '.join(unknown[:5])} are not in {TABLE}"
            raise OutputError(self.exit_codes.ERROR_OUTPUT_UNREADABLE.format(message=message))
        states = {link_label(name): f"{rows[name]['potential']}, {rows[name]['status']}" for name in crystals.ids}
        for name, node in structures(crystals, int(results["seed"])):
            node.description = states[name]
            self.out(f"crystals.{name}", node)
