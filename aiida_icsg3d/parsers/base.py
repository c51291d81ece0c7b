"""What the parsers of all stages share: results.json becomes a node and an exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from aiida.engine import ExitCode
from aiida.orm import Dict, FolderData
from aiida.parsers import Parser

from icsg3d_models.results import FORMAT_VERSION, RESULTS_FILE, STATUSES

from ..calculations.base import StageCalculation
from ..calculations.exit_codes import exit_code_of
from ..values import storable

Value = TypeVar("Value")


class ResultsError(ValueError):
    """A results.json that cannot be used."""


class OutputError(Exception):
    """An output file that is missing or cannot be used; carries the exit code."""

    def __init__(self, exit_code: ExitCode) -> None:
        super().__init__(exit_code.message)
        self.exit_code = exit_code


class StageParser(Parser):
    """Attach ``results`` and the outputs of the stage, then return the exit code of the status."""

    CACHE_VERSION = 1

    def parse(self, **kwargs: Any) -> ExitCode:
        """Parse the retrieved files. Usable outputs are attached also where the stage failed."""
        if RESULTS_FILE not in self.retrieved.base.repository.list_object_names():
            # The scheduler saw why (memory 110, wall time 120, node 140): its code says more than ours.
            if self.node.exit_status:
                return ExitCode(self.node.exit_status, self.node.exit_message)
            return self.exit_codes.ERROR_RESULTS_MISSING
        try:
            results = read_results(self.retrieved, cast(type[StageCalculation], self.node.process_class).stage)
        except ResultsError as exception:
            return self.exit_codes.ERROR_RESULTS_UNREADABLE.format(message=exception)
        self.out("results", Dict(storable(results)))
        exit_code = exit_code_of(self.exit_codes, results["status"], results["message"])
        try:
            self.attach_outputs(results)
        except OutputError as exception:
            # A stage that failed may well have left its outputs out or half written: its status says more.
            return exit_code if exit_code.status else exception.exit_code
        return exit_code

    def attach_outputs(self, results: dict[str, Any]) -> None:
        """Attach the outputs of the stage, as far as they are there.

        :raises OutputError: a file is missing or cannot be used.
        """

    def read_output(self, name: str, read: Callable[[Path], Value]) -> Value:
        """Return what ``read`` makes of a retrieved file.

        :raises OutputError: the file is missing, or ``read`` refused it.
        """
        if name not in self.retrieved.base.repository.list_object_names():
            raise OutputError(self.exit_codes.ERROR_OUTPUT_MISSING.format(message=name))
        with self.retrieved.base.repository.as_path(name) as path:
            try:
                return read(path)
            except (ValueError, OSError, KeyError) as exception:
                message = f"{name}: {exception}"
                raise OutputError(self.exit_codes.ERROR_OUTPUT_UNREADABLE.format(message=message)) from exception


def read_results(retrieved: FolderData, stage: str, file: str = RESULTS_FILE) -> dict[str, Any]:
    """Return the content of results.json.

    :param file: name of the results of one stage of several.
    :raises ResultsError: no JSON, another stage's, a newer format, or an unknown status.
    """
    try:
        content = json.loads(retrieved.base.repository.get_object_content(file, "r"))
    except ValueError as exception:
        raise ResultsError(f"not valid JSON ({exception})") from exception
    if not isinstance(content, dict):
        raise ResultsError(f"a JSON object is needed, found {type(content).__name__}")
    version = content.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise ResultsError(f"format version {version}, this release reads up to {FORMAT_VERSION}; upgrade aiida-icsg3d")
    if content.get("stage") != stage:
        raise ResultsError(f"written by the stage {content.get('stage')!r}, not by {stage!r}")
    if content.get("status") not in STATUSES:
        raise ResultsError(f"unknown status {content.get('status')!r}; known are {', '.join(STATUSES)}")
    return {"message": "", "counts": {}, "scalars": {}, "tables": {}, **content}
