"""Parser of the stage ``chain``: what the parsers of its stages attach, from one folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiida.orm import Dict

from icsg3d_models.results import results_of_stage

from ..calculations.chain.parts import PARTS
from ..values import storable
from .base import OutputError, ResultsError, StageParser, read_results
from .rebuild import attach_crystals
from .screen import attach_screening

ATTACH: dict[str, Callable[[StageParser, dict[str, Any]], None]] = {
    "rebuild": attach_crystals,
    "screen": attach_screening,
}
TRIED_AGAIN = ("interrupted", "out_of_memory")
"""Status of a chain after which the next try takes over what is done, and its crystals are those that count."""


class ChainParser(StageParser):
    """Attach the results of every stage that ran, the crystals, the table and the selected."""

    def attach_outputs(self, results: dict[str, Any]) -> None:
        """Attach what each stage left, as far as the chain got."""
        for stage in PARTS:
            file = results_of_stage(stage)
            if file not in self.retrieved.base.repository.list_object_names():
                if stage in results["tables"].get("stages", {}):
                    raise OutputError(self.exit_codes.ERROR_OUTPUT_MISSING.format(message=file))
                continue
            try:
                own = read_results(self.retrieved, stage, file)
            except ResultsError as exception:
                message = f"{file}: {exception}"
                raise OutputError(self.exit_codes.ERROR_OUTPUT_UNREADABLE.format(message=message)) from exception
            self.out(f"{stage}_results", Dict(storable(own)))
            if stage in ATTACH and results["status"] not in TRIED_AGAIN:
                ATTACH[stage](self, own)
