"""WorkChain that makes crystals: sample -> segment -> rebuild."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.common import AttributeDict
from aiida.engine import ExitCode, ProcessBuilder, ToContext, WorkChain, while_
from aiida.orm import AbstractCode, Bool, Dict, FolderData, Int, RemoteData, StructureData, to_aiida_type

from icsg3d_models.crystals.formulas import amounts_of

from ..calculations.base import StageCalculation
from ..calculations.exit_codes import declare, failed_child, label_of
from ..data import TrainedModelData
from ..data.remote_files import is_there
from .cleaning import clean_called
from .protocols import load_protocol
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

    The crystals are outputs of the rebuild job only: thousands of links are not repeated at this level.
    """

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        folders = ("fields_folder", "segments_folder")
        for name, process in PROCESSES.items():
            spec.expose_inputs(process, namespace=name, exclude=folders)
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
        spec.outline(steps.setup, while_(steps.should_run_stage)(steps.run_stage, steps.inspect_stage), steps.results)
        spec.output("sample_results", valid_type=Dict, required=False, help="Results of the sampling.")
        spec.output("segment_results", valid_type=Dict, required=False, help="Results of the segmentation.")
        spec.output("results", valid_type=Dict, required=False, help="Results of the rebuilding, with reasons.")
        spec.output(
            "crystals_folder", valid_type=RemoteData, required=False,
            help="Remote folder of the rebuild job with crystals.h5; its creator has every crystal as an output.",
        )  # fmt: skip
        spec.output("crystals_retrieved", valid_type=FolderData, required=False, help="Files with crystals.h5.")
        declare(
            spec, "ERROR_SAMPLE_FAILED", "ERROR_SEGMENT_FAILED", "ERROR_REBUILD_FAILED",
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
        overrides: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> ProcessBuilder:
        """Return a builder filled in by a protocol.

        :param code: one code for all stages, or one by stage (all on one computer: the fields are shared).
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
        inputs.update({port: self.ctx[before].outputs.remote_folder for port, before in FOLDERS[name].items()})
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
        needed = sorted(FOLDERS[name].values(), key=NAMES.index)
        folders = {before: self.ctx[before].outputs.remote_folder for before in needed}
        files = {before: PROCESSES[before].remote_files for before in needed}
        return next((b for b in needed if any(is_there(folders[b], file) is False for file in files[b])), None)

    def inspect_stage(self) -> ExitCode | None:
        """Go on where a stage ended well, or where what it lacks can be made again."""
        name = NAMES[self.ctx.stage]
        node = self.ctx[name]
        if node.is_finished_ok:
            self.ctx.stage += 1
            return None
        if label_of(node) == "ERROR_STAGE_BEFORE_GONE" and self.first_gone(name) is not None:
            return None  # `run_stage` begins with that one
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

    def results(self) -> None:
        """Attach the results and where the crystals are."""
        self.attach_results()
        outputs = self.ctx.rebuild.outputs
        self.out("crystals_folder", outputs.remote_folder)
        self.out("crystals_retrieved", outputs.retrieved)

    def on_terminated(self) -> None:
        """Clean the remote folders where that was asked for."""
        super().on_terminated()
        if self.inputs.clean_workdir.value:
            clean_called(self)
