"""WorkChain that makes crystals: sample -> segment -> rebuild, a job each or all in one with the screening."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.common import AttributeDict
from aiida.engine import ExitCode, ProcessBuilder, ToContext, WorkChain, if_, while_
from aiida.orm import (
    AbstractCode,
    Bool,
    Dict,
    FolderData,
    Int,
    RemoteData,
    SinglefileData,
    StructureData,
    to_aiida_type,
)

from icsg3d_models.crystals.formulas import amounts_of

from ..calculations.base import StageCalculation
from ..calculations.chain.chain import ChainCalculation
from ..calculations.chain.parts import ports_of
from ..calculations.exit_codes import declare, failed_child, label_of
from ..calculations.screen import ScreenCalculation
from ..data import TrainedModelData
from ..data.remote_files import folder_with, is_there
from .cleaning import clean_called
from .protocols import load_protocol
from .stages.chain import ChainStage, chain_inputs
from .stages.stage import (
    MAX_RETRIES,
    RebuildStage,
    SampleStage,
    SegmentStage,
    StageWorkChain,
    last_job,
    validate_retries,
)

STAGES: dict[str, type[StageWorkChain]] = {"sample": SampleStage, "segment": SegmentStage, "rebuild": RebuildStage}
NAMES = list(STAGES)
PROCESSES: dict[str, type[StageCalculation]] = {name: stage._process_class for name, stage in STAGES.items()}
FOLDERS: dict[str, dict[str, str]] = {
    "sample": {},
    "segment": {"fields_folder": "sample"},
    "rebuild": {"fields_folder": "sample", "segments_folder": "segment"},
}
"""Stage -> its inputs that are the remote folder of another stage."""


class GenerateWorkChain(WorkChain):
    """Draw samples and rebuild crystals from them; fields stay on the computer where they were made.

    The crystals are outputs of the rebuild job only: thousands of links are not repeated at this level. Where the
    inputs of a ``chain`` are given, one job does all of it, and screens, too, where those of ``screen`` are.
    """

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        folders = ("fields_folder", "segments_folder")
        for name, process in PROCESSES.items():
            spec.expose_inputs(process, namespace=name, exclude=folders)
        left_out = {"required": False, "populate_defaults": False}
        spec.expose_inputs(
            ChainCalculation, namespace="chain", include=("code", "metadata"),
            namespace_options={**left_out, "help": "Code and options of one job for all stages; left out: a job each."},
        )  # fmt: skip
        spec.expose_inputs(
            ScreenCalculation, namespace="screen", include=ports_of("screen"),
            namespace_options={**left_out, "help": "With `chain`: inputs of the screening, which is done in that job."},
        )  # fmt: skip
        spec.inputs.validator = validate_screening
        spec.input(
            "clean_workdir", valid_type=Bool, default=lambda: Bool(False),
            help="Remove fields and segments at the end; crystals.h5 is among the retrieved files.",
        )  # fmt: skip
        spec.input(
            "max_retries", valid_type=Int, default=lambda: Int(MAX_RETRIES), serializer=to_aiida_type,
            validator=validate_retries,
            help="How often a stage is tried again whose job was killed, preempted or lost with its node, and how "
            "often stages run again whose files were purged before the next one read them.",
        )  # fmt: skip
        steps: Any = cls
        spec.outline(
            steps.setup,
            if_(steps.is_one_job)(steps.run_chain).else_(
                while_(steps.should_run_stage)(steps.run_stage, steps.inspect_stage),
            ),
            steps.results,
        )
        spec.output("sample_results", valid_type=Dict, required=False, help="Results of the sampling.")
        spec.output("segment_results", valid_type=Dict, required=False, help="Results of the segmentation.")
        spec.output("results", valid_type=Dict, required=False, help="Results of the rebuilding, with reasons.")
        spec.output(
            "crystals_folder", valid_type=RemoteData, required=False,
            help="Remote folder of the rebuild job with crystals.h5; its creator has every crystal as an output.",
        )  # fmt: skip
        spec.output("crystals_retrieved", valid_type=FolderData, required=False, help="Files with crystals.h5.")
        spec.output("screen_results", valid_type=Dict, required=False, help="Results of the screening.")
        spec.output("table", valid_type=SinglefileData, required=False, help="screening.csv, where it screened, too.")
        spec.output("selected", valid_type=Dict, required=False, help="The selected crystals, where it screened, too.")
        declare(
            spec, "ERROR_SAMPLE_FAILED", "ERROR_SEGMENT_FAILED", "ERROR_REBUILD_FAILED", "ERROR_CHAIN_FAILED",
            "ERROR_NOTHING_VALID",
            ERROR_NOTHING_REBUILT="none of the {samples} samples could be rebuilt: {message}",
        )  # fmt: skip

    @classmethod
    def get_builder_from_protocol(
        cls,
        code: AbstractCode | Mapping[str, AbstractCode],
        vae: TrainedModelData | None = None,
        unet: TrainedModelData | None = None,
        prior: TrainedModelData | None = None,
        *,
        n_samples: int | None = None,
        elements: list[str] | None = None,
        targets: Mapping[str, float] | None = None,
        asked: Mapping[str, Any] | None = None,
        base: Mapping[str, StructureData] | None = None,
        seed: int = 0,
        protocol: str | None = None,
        one_job: bool | None = None,
        overrides: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> ProcessBuilder:
        """Return a builder filled in by a protocol.

        :param code: one code for all stages, or one by stage (all on one computer: the fields are shared); `chain` is
            that of one job for all.
        :param one_job: run all stages as one job; None: as the protocol says.
        :param elements: only these; default: all that the models know.
        :param targets: property -> value to aim at.
        :param asked: what else is asked for: name of a condition -> value, as in the settings of the stage sample; the
            prior must have been trained with it.
        :param base: crystals to sample around; set ``sample.settings.mode`` to ``interpolate`` for a line between two.
        :param overrides: of the protocol ``generate``.
        :param options: AiiDA's ``metadata.options`` of all jobs, above those of the protocol.
        :raises ValueError: an unknown protocol or key, or settings that are not accepted.
        """
        inputs = load_protocol("generate", protocol, overrides)
        settings = {name: {"seed": seed, **inputs[name]["settings"]} for name in STAGES}
        given: dict[str, Any] = {
            "n_samples": n_samples,
            "elements": elements,
            "targets": dict(targets) if targets else None,
        }
        given.update(asked or {})
        settings["sample"].update({key: value for key, value in given.items() if value is not None})
        if given.get("composition") is not None:
            elements = elements or sorted(amounts_of(given["composition"]))
            kept = {name: given[name] for name in ("composition", "n_atoms") if given.get(name) is not None}
            settings["rebuild"] = {**kept, **settings["rebuild"]}  # the crystals hold these atoms, or there is none
        if elements is not None:
            settings["segment"]["elements"] = elements
        if base and settings["sample"]["mode"] == "prior":
            settings["sample"]["mode"] = "base"
        builder: Any = cls.get_builder()
        builder.clean_workdir = Bool(inputs["clean_workdir"])
        builder.max_retries = Int(inputs["max_retries"])
        for name in STAGES:
            stage = builder[name]
            stage.code = code[name] if isinstance(code, Mapping) else code
            stage.settings = settings[name]
            stage.metadata.options = {**inputs[name]["options"], **(options or {})}
        if inputs["one_job"] if one_job is None else one_job:
            builder.chain.code = (code.get("chain") or one_code(code)) if isinstance(code, Mapping) else code
            builder.chain.metadata.options = {**inputs["chain"]["options"], **(options or {})}
        for namespace, name, model in (("sample", "vae", vae), ("sample", "prior", prior), ("segment", "unet", unet)):
            if model is not None:
                builder[namespace][name] = model
        if base:
            builder.sample.base = dict(base)
        return builder

    def setup(self) -> None:
        """Begin with the first stage."""
        self.ctx.stage = 0
        self.ctx.reruns = 0
        self.ctx.fresh = []  # stages that are not to be taken from the cache

    def is_one_job(self) -> bool:
        """Tell whether one job does it all."""
        return "chain" in self.inputs

    def run_chain(self) -> ToContext:
        """Submit the one job."""
        stages = [*NAMES, "screen"] if "screen" in self.inputs else NAMES
        inputs = chain_inputs(
            self.exposed_inputs(ChainCalculation, "chain"), {name: self.inputs[name] for name in stages}
        )
        metadata = {"call_link_label": "chain"}
        node = self.submit(ChainStage, job=inputs, max_retries=self.inputs.max_retries, metadata=metadata)
        self.report(f"launching {ChainStage.__name__}<{node.pk}>")
        return ToContext(chain=node)

    def should_run_stage(self) -> bool:
        """Tell whether a stage is left."""
        return bool(self.ctx.stage < len(STAGES))

    def run_stage(self) -> ToContext | ExitCode:
        """Submit the next stage, or one before it whose files were purged meanwhile."""
        name = NAMES[self.ctx.stage]
        if (gone := self.first_gone(name)) is not None:
            if self.ctx.reruns >= self.inputs.max_retries.value:
                words = f"its files were purged {self.ctx.reruns + 1} times before the stage {name} read them"
                return self.failure(gone, f"{words}; keep scratch for longer than jobs wait in the queue")
            self.ctx.reruns += 1
            self.ctx.fresh = [*self.ctx.fresh, gone]
            self.report(f"the files of the stage {gone} are gone from scratch: it runs again, not from the cache")
            self.ctx.stage, name = NAMES.index(gone), gone
        process = STAGES[name]
        inputs = AttributeDict(self.exposed_inputs(PROCESSES[name], name))
        inputs.update(self.folders(name))
        if name in self.ctx.fresh:
            inputs.metadata.disable_cache = True
        label = f"{name}_{self.ctx.reruns + 1}" if self.ctx.reruns else name
        node = self.submit(
            process, job=inputs, max_retries=self.inputs.max_retries, metadata={"call_link_label": label}
        )
        self.report(f"launching {process.__name__}<{node.pk}>")
        return ToContext(**{name: node})

    def first_gone(self, name: str) -> str | None:
        """Return the first of the stages that a stage reads the files of, and whose files are gone; None: none is."""
        needed = sorted(FOLDERS[name].items(), key=lambda item: NAMES.index(item[1]))
        folders = self.folders(name)
        files = {port: PROCESSES[before].remote_files for port, before in needed}
        gone = (b for port, b in needed if any(is_there(folders[port], file) is False for file in files[port]))
        return next(gone, None)

    def folders(self, name: str) -> dict[str, Any]:
        """Return the folders of earlier stages that a stage reads: of their jobs, or what was stashed of them."""
        return {port: folder_with(self.ctx[b], PROCESSES[b].remote_files) for port, b in FOLDERS[name].items()}

    def read_elsewhere(self, name: str, node: Any) -> bool:
        """Tell whether a stage would read other folders now than it did: those of stashed files."""
        return any(node.inputs.job[port].pk != folder.pk for port, folder in self.folders(name).items())

    def inspect_stage(self) -> ExitCode | None:
        """Go on where a stage ended well, or where what it lacks can be made again."""
        name = NAMES[self.ctx.stage]
        node = self.ctx[name]
        if node.is_finished_ok:
            self.ctx.stage += 1
            return None
        if label_of(node) == "ERROR_STAGE_BEFORE_GONE" and (
            self.first_gone(name) is not None or self.read_elsewhere(name, node)
        ):
            return None  # `run_stage` begins with the one that is gone, or with this one
        return self.failure(name)

    def attach_results(self) -> None:
        """Attach the results of all stages, as far as there are any."""
        for name in NAMES:
            if name in self.ctx and "results" in self.ctx[name].outputs:
                self.out("results" if name == NAMES[-1] else f"{name}_results", self.ctx[name].outputs.results)

    def failure(self, name: str, words: str | None = None) -> ExitCode:
        """Attach the results and return the exit code of a stage that failed."""
        self.attach_results()
        node = self.ctx[name]
        if label_of(node) == "ERROR_NOTHING_REBUILT":
            samples = node.outputs.results.get_dict()["counts"].get("samples")
            message = last_job(node).exit_message
            return self.exit_codes.ERROR_NOTHING_REBUILT.format(samples=samples, message=message)
        return failed_child(self.exit_codes, f"ERROR_{name.upper()}_FAILED", node, words)

    def results(self) -> ExitCode | None:
        """Attach the results and where the crystals are."""
        if "chain" in self.ctx:
            return self.results_of_chain()
        self.attach_results()
        self.attach_folders(self.ctx.rebuild)
        return None

    def attach_folders(self, node: Any) -> None:
        """Attach where the crystals are."""
        self.out("crystals_folder", node.outputs.remote_folder)
        self.out("crystals_retrieved", node.outputs.retrieved)

    def results_of_chain(self) -> ExitCode | None:
        """Attach what the one job left, under the names that it has of several jobs."""
        node = self.ctx.chain
        names = {"sample_results": "sample_results", "segment_results": "segment_results",
                 "rebuild_results": "results", "screen_results": "screen_results", "table": "table",
                 "selected": "selected"}  # fmt: skip
        self.out_many({name: node.outputs[of_job] for of_job, name in names.items() if of_job in node.outputs})
        label, message = label_of(node), last_job(node).exit_message
        if node.is_finished_ok or label == "ERROR_NOTHING_VALID":
            self.attach_folders(node)
        if node.is_finished_ok:
            return None
        if label == "ERROR_NOTHING_REBUILT":
            samples = node.outputs.rebuild_results.get_dict()["counts"].get("samples")
            return self.exit_codes.ERROR_NOTHING_REBUILT.format(samples=samples, message=message)
        if label == "ERROR_NOTHING_VALID":
            return self.exit_codes.ERROR_NOTHING_VALID.format(message=message)
        return failed_child(self.exit_codes, "ERROR_CHAIN_FAILED", node)

    def on_terminated(self) -> None:
        """Clean the remote folders where that was asked for."""
        super().on_terminated()
        if self.inputs.clean_workdir.value:
            clean_called(self)


def validate_screening(inputs: Mapping[str, Any], _ports: Any) -> str | None:
    """Refuse a screening that no job would do."""
    if "screen" in inputs and "chain" not in inputs:
        return "`screen` is given without `chain`; a job of its own screens in the ScreenWorkChain"
    return None


def one_code(codes: Mapping[str, AbstractCode]) -> AbstractCode:
    """Return the code of a job that runs all stages.

    :raises ValueError: stages have different codes.
    """
    found = {code.uuid: code for code in codes.values()}
    if len(found) != 1:
        named = ", ".join(f"{stage} {code.full_label}" for stage, code in codes.items())
        raise ValueError(f"one job runs all stages with one code, but there are {named}; give one, or a job each")
    return next(iter(found.values()))
