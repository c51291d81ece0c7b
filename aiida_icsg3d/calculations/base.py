"""What the CalcJobs of all stages share: validated settings, linked inputs, retrieved outputs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from aiida.common.datastructures import CalcInfo, CodeInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJob
from aiida.orm import Dict, ProcessNode, RemoteData, to_aiida_type
from pydantic import ValidationError

from icsg3d_models.results import PROGRESS_FILE, RESULTS_FILE
from icsg3d_models.settings import STAGES, StageSettings
from icsg3d_models.settings.problems import describe_problems

from ..data import CrystalDatasetData, TrainedModelData
from ..data.remote_files import RemoteFolder, folder_with, is_there
from .exit_codes import define_exit_codes
from .files import InputFile

SETTINGS_FILE = "settings.json"
STDOUT = "icsg3d.out"
STDERR = "icsg3d.err"


class StageCalculation(CalcJob):
    """Run one stage: ``icsg3d STAGE settings.json``.

    :cvar stage: the subcommand.
    :cvar files: the table of the input files.
    :cvar retrieved_files: what to retrieve beside results.json and progress.jsonl.
    :cvar remote_files: what the next stages read in the remote folder.
    :cvar stashed_files: what to stash where a stash is asked for without a list.
    """

    # 2: fewer steps of the prior, sites without the pull of their neighbours, novelty not judged
    # 3: finer fields of base crystals, conditions drawn where nothing is asked
    CACHE_VERSION = 3
    stage: ClassVar[str]
    files: ClassVar[tuple[InputFile, ...]] = ()
    retrieved_files: ClassVar[tuple[str, ...]] = ()
    remote_files: ClassVar[tuple[str, ...]] = ()
    stashed_files: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def is_valid_cache(cls, node: ProcessNode) -> bool:
        """Tell whether a job may stand for another: not where the next stage would look for its files in vain."""
        if not super().is_valid_cache(node):
            return False
        if not node.is_finished_ok or not cls.remote_files:
            return True
        folder = folder_with(node, cls.remote_files)
        return all(is_there(folder, name) for name in cls.remote_files)

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare inputs, outputs and exit codes."""
        super().define(spec)
        options = spec.inputs["metadata"]["options"]
        options["parser_name"].default = f"icsg3d.{cls.stage}"
        options["withmpi"].default = False
        options["resources"].default = lambda: {"num_machines": 1, "num_mpiprocs_per_machine": 1}
        options["resources"].required = False
        spec.input(
            "settings",
            valid_type=Dict,
            default=Dict,
            serializer=to_aiida_type,
            validator=cls.validate_settings,
            help=f"Settings of the stage, without paths; `icsg3d {cls.stage} --help` lists them.",
        )
        spec.inputs.validator = cls.validate_inputs
        spec.output("results", valid_type=Dict, help="Content of results.json: status, counts, scalars, tables.")
        define_exit_codes(spec)

    @classmethod
    def validate_settings(cls, value: Dict | None, _port: Any) -> str | None:
        """Return what is wrong with the settings as far as that can be said without the other inputs."""
        if value is None:
            return None
        try:
            cls.complete_settings(value.get_dict(), cls.assumed_files(value.get_dict()))
        except ValueError as exception:
            return str(exception)
        return None

    @classmethod
    def validate_inputs(cls, inputs: Mapping[str, Any], ports: Any) -> str | None:
        """Return what is wrong with the inputs together; called again where they are exposed with some left out."""
        if "settings" not in ports or "settings" not in inputs:
            return None
        try:
            cls.check_inputs(inputs, ports)
        except ValueError as exception:
            return str(exception)
        return None

    @classmethod
    def check_inputs(cls, inputs: Mapping[str, Any], ports: Any) -> None:
        """Check what no single input shows; a stage adds its own rules.

        :param ports: the namespace; what a WorkChain left out on exposing is not in it.
        :raises ValueError: the inputs do not fit together.
        """
        cls.check_places(inputs)
        if all(name in ports for name in spec_names(cls)):
            cls.complete_settings(inputs["settings"].get_dict(), cls.linked_files(inputs))

    @classmethod
    def check_places(cls, inputs: Mapping[str, Any]) -> None:
        """Check that remote folders are there, and where the code runs.

        :raises ValueError: one is cleaned, or lies elsewhere.
        """
        code = inputs.get("code")
        computer = inputs.get("metadata", {}).get("computer") or getattr(code, "computer", None)
        for name, value in inputs.items():
            if not isinstance(value, RemoteFolder):
                continue
            there: Any = value.computer
            if computer is not None and there.uuid != computer.uuid:
                raise ValueError(
                    f"{name} lies on computer {there.label!r}, the code runs on {computer.label!r}; "
                    "run both stages on one computer"
                )
            if isinstance(value, RemoteData) and value.is_cleaned:
                raise ValueError(f"{name} (PK {value.pk}) has been cleaned; run the job that made it again")

    @classmethod
    def linked_files(cls, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return setting -> name of its file, a list of names for a namespace; None where the input is not given."""
        names: dict[str, Any] = {}
        for row in cls.files:
            names[row.setting] = names.get(row.setting) or row.value(inputs)
        return names

    @classmethod
    def assumed_files(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return what :meth:`linked_files` may return with these settings, where the inputs are not known."""
        return {row.setting: row.assumption() for row in cls.files}

    @classmethod
    def complete_settings(cls, settings: Mapping[str, Any], files: Mapping[str, Any]) -> StageSettings:
        """Return the settings of the stage with the names of the input files filled in.

        :raises ValueError: a path among the settings, an unknown key, or a value that is not accepted.
        """
        model = cls.settings_model()
        paths = sorted(set(settings) & cls.named_by_us())
        if paths:
            raise ValueError(
                f"settings of {cls.stage}: {', '.join(paths)} is set by the CalcJob, which names all files itself; "
                "leave it out and give the node as an input"
            )
        try:
            return model.model_validate({**settings, **files})
        except ValidationError as exception:
            problems = describe_problems(exception, model, leave_out=cls.named_by_us())
            raise ValueError(f"settings of {cls.stage}: {problems}") from None

    @classmethod
    def settings_model(cls) -> type[StageSettings]:
        """Return the settings of the program."""
        return STAGES[cls.stage]

    @classmethod
    def named_by_us(cls) -> set[str]:
        """Return the settings that name files, which are not taken from outside."""
        model = cls.settings_model()
        return {*(row.setting for row in cls.files), *model.outputs, *model.output_folders}

    def final_settings(self) -> StageSettings:
        """Return the settings that are written for the program."""
        return self.complete_settings(self.inputs.settings.get_dict(), self.linked_files(self.inputs))

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write settings.json and say which files to link and to retrieve."""
        # Only what was given is written: an older or newer program keeps its own defaults.
        content = self.final_settings().model_dump(mode="json", exclude_unset=True)
        with folder.open(SETTINGS_FILE, "w", encoding="utf-8") as stream:
            json.dump(content, stream, indent=1, sort_keys=True)

        code = CodeInfo()
        code.code_uuid = self.inputs.code.uuid
        code.cmdline_params = [self.stage, SETTINGS_FILE]
        code.stdout_name = STDOUT
        code.stderr_name = STDERR

        info = CalcInfo()
        info.codes_info = [code]
        info.local_copy_list = []
        info.remote_symlink_list = []
        info.remote_copy_list = []
        info.retrieve_list = [RESULTS_FILE, PROGRESS_FILE, STDOUT, STDERR, *self.files_to_retrieve()]
        for row, inputs in self.linked_rows():
            row.link(info, inputs)
        self.write_files(folder)
        return info

    def linked_rows(self) -> Iterator[tuple[InputFile, Mapping[str, Any]]]:
        """Yield the rows of the table of input files, each with the inputs that it looks at."""
        for row in self.files:
            yield row, self.inputs

    def files_to_retrieve(self) -> list[str]:
        """Return what to retrieve beside what every stage leaves."""
        return list(self.retrieved_files)

    def write_files(self, folder: Folder) -> None:
        """Write what a row of the table calls written."""


def spec_names(process: type[StageCalculation]) -> Iterable[str]:
    """Return the names of the inputs that a stage itself defines, apart from what every CalcJob has."""
    common = set(CalcJob.spec().inputs)
    return [name for name in process.spec().inputs if name not in common]


def check_part(name: str, node: CrystalDatasetData, part: str | None) -> int:
    """Return how many crystals a part of a dataset has, and refuse an empty one.

    :param part: a part of the split; None or ``all``: the whole dataset.
    :raises ValueError: the part is empty.
    """
    parts = node.base.attributes.get("parts")
    count = parts.get(part, node.n_crystals)
    if count == 0:
        others = ", ".join(f"{key} {value}" for key, value in parts.items())
        raise ValueError(f"{name} (PK {node.pk}) has no crystal in its {part} part; it has {others}")
    return int(count)


def check_network(name: str, node: TrainedModelData, *networks: str) -> None:
    """Refuse a model of another kind than the input needs.

    :param networks: what is accepted.
    :raises ValueError: it holds another network.
    """
    if node.network not in networks:
        needed = " or ".join(networks)
        raise ValueError(f"{name} holds a {node.network} network (PK {node.pk}); a {needed} network is needed there")
