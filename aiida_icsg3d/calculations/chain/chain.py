"""CalcJob that samples, segments, rebuilds and screens: one wait in the queue, one transfer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aiida.common.folders import Folder
from aiida.orm import Dict, RemoteData, SinglefileData, StructureData
from pydantic import ValidationError

from icsg3d_models.results import results_of_stage
from icsg3d_models.settings import ChainSettings, StageSettings
from icsg3d_models.settings.problems import describe_problems

from ..base import StageCalculation
from ..base_crystals import write_structures
from ..bulk import StoresCrystals
from ..files import InputFile
from .parts import LAST_WITHOUT_SCREENING, PARTS, given_parts, ports_of, rows_of, settings_of

EARLIER = "earlier"


class ChainCalculation(StoresCrystals, StageCalculation):
    """Run the stages from sampling to screening; every crystal is linked here, where it is born, and nowhere else.

    The inputs of each stage are those of its own CalcJob, below its name. The files that one stage hands to the next
    stay in the folder of the job.
    """

    CACHE_VERSION = 1
    stage = "chain"
    stashed_files = ("fields.h5", "segments.h5")
    files = (InputFile("parent_folder", "resume_from", EARLIER, path="."),)

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare inputs and outputs."""
        super().define(spec)
        del spec.inputs["settings"]  # each stage has its own
        for stage, process in PARTS.items():
            options: dict[str, Any] = {"help": f"Inputs of the stage {stage}."}
            if stage == "screen":
                options = {"required": False, "populate_defaults": False,
                           "help": "Inputs of the stage screen; left out: the crystals are not screened."}  # fmt: skip
            spec.expose_inputs(process, namespace=stage, include=ports_of(stage), namespace_options=options)
        spec.input(
            "parent_folder", valid_type=RemoteData, required=False,
            help="Remote folder of an earlier try of the same chain: its stages that are done are taken over.",
        )  # fmt: skip
        for stage in PARTS:
            spec.output(f"{stage}_results", valid_type=Dict, required=False, help=f"Results of the stage {stage}.")
        spec.output_namespace(
            "crystals", valid_type=StructureData, dynamic=True, required=False,
            help="Every rebuilt crystal by its id, as of the job rebuild.",
        )  # fmt: skip
        spec.output("table", valid_type=SinglefileData, required=False, help="screening.csv, one row a crystal.")
        spec.output("selected", valid_type=Dict, required=False, help="The selected crystals, as of the job screen.")

    @classmethod
    def validate_inputs(cls, inputs: Mapping[str, Any], ports: Any) -> str | None:
        """Return what is wrong with the inputs together."""
        try:
            if all(stage in inputs and stage in ports for stage in ("sample", "segment", "rebuild")):
                cls.check_inputs(inputs, ports)
        except ValueError as exception:
            return str(exception)
        return None

    @classmethod
    def check_inputs(cls, inputs: Mapping[str, Any], ports: Any) -> None:
        """Check what the stages check, and their settings beside one another."""
        cls.check_places(inputs)
        for stage, given in given_parts(inputs):
            PARTS[stage].check_inputs(given, ports[stage])
        if all(name in ports[stage] for stage, _ in given_parts(inputs) for name in ports_of(stage)):
            cls.chain_settings(inputs)

    @classmethod
    def chain_settings(cls, inputs: Mapping[str, Any]) -> ChainSettings:
        """Return the settings of the program.

        :raises ValueError: a setting that is not accepted; what it is called begins with its stage.
        """
        content: dict[str, Any] = {stage: settings_of(stage, given) for stage, given in given_parts(inputs)}
        if "screen" not in inputs:
            content["last"] = LAST_WITHOUT_SCREENING
        if "parent_folder" in inputs:
            content["resume_from"] = EARLIER
        try:
            return ChainSettings.model_validate(content)
        except ValidationError as exception:
            raise ValueError(f"settings of chain: {describe_problems(exception, ChainSettings)}") from None

    def final_settings(self) -> StageSettings:
        """Return the settings that are written for the program."""
        return self.chain_settings(self.inputs)

    def linked_rows(self) -> Iterator[tuple[InputFile, Mapping[str, Any]]]:
        """Yield the rows of the tables of all stages, with the inputs that they look at."""
        yield from super().linked_rows()
        for stage, given in given_parts(self.inputs):
            for row in rows_of(stage):
                yield row, given

    def files_to_retrieve(self) -> list[str]:
        """Return what the program leaves: results of every stage, crystals, table."""
        stages = [stage for stage, _ in given_parts(self.inputs)]
        files = [file for stage in stages for file in PARTS[stage].retrieved_files]
        return [*map(results_of_stage, stages), *files]

    def write_files(self, folder: Folder) -> None:
        """Write the crystals that stages are given as nodes."""
        for row, given in self.linked_rows():
            if row.written and given.get(row.port):
                write_structures(given[row.port], Path(folder.abspath) / row.name)
