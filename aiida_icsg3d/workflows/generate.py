"""WorkChain that makes crystals: sample -> segment -> rebuild."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.common import AttributeDict
from aiida.engine import CalcJob, ExitCode, ProcessBuilder, ToContext, WorkChain
from aiida.orm import AbstractCode, Bool, Dict, FolderData, RemoteData, StructureData

from icsg3d_models.crystals.formulas import amounts_of

from ..calculations.exit_codes import declare, failed_child
from ..calculations.rebuild import RebuildCalculation
from ..calculations.sample import SampleCalculation
from ..calculations.segment import SegmentCalculation
from ..data import TrainedModelData
from .cleaning import clean_called
from .protocols import load_protocol

STAGES: dict[str, type[CalcJob]] = {
    "sample": SampleCalculation,
    "segment": SegmentCalculation,
    "rebuild": RebuildCalculation,
}


class GenerateWorkChain(WorkChain):
    """Draw samples and rebuild crystals from them; fields stay on the computer where they were made.

    The crystals are outputs of the rebuild job only: thousands of links are not repeated at this level.
    """

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        folders = ("fields_folder", "segments_folder")
        for name, process in STAGES.items():
            spec.expose_inputs(process, namespace=name, exclude=folders)
        spec.input(
            "clean_workdir", valid_type=Bool, default=lambda: Bool(False),
            help="Remove fields and segments at the end; crystals.h5 is among the retrieved files.",
        )  # fmt: skip
        spec.outline(cls.sample, cls.segment, cls.rebuild, cls.results)
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

    def run_stage(self, name: str, **folders: RemoteData) -> ToContext:
        """Submit a stage."""
        inputs = AttributeDict(self.exposed_inputs(STAGES[name], name))
        inputs.update(folders)
        inputs.metadata.call_link_label = name
        node = self.submit(STAGES[name], **inputs)
        self.report(f"launching {STAGES[name].__name__}<{node.pk}>")
        return ToContext(**{name: node})

    def failure(self, name: str) -> ExitCode | None:
        """Attach the results of a stage, and return the exit code where it failed."""
        node = self.ctx[name]
        label = "results" if name == "rebuild" else f"{name}_results"
        if "results" in node.outputs:
            self.out(label, node.outputs.results)
        if node.is_finished_ok:
            return None
        if node.exit_status == RebuildCalculation.exit_codes.ERROR_NOTHING_REBUILT.status:
            samples = node.outputs.results.get_dict()["counts"].get("samples")
            return self.exit_codes.ERROR_NOTHING_REBUILT.format(samples=samples, message=node.exit_message)
        return failed_child(self.exit_codes, f"ERROR_{name.upper()}_FAILED", node)

    def sample(self) -> ToContext:
        """Draw latents and decode them."""
        return self.run_stage("sample")

    def segment(self) -> ToContext | ExitCode:
        """Segment the fields."""
        if (exit_code := self.failure("sample")) is not None:
            return exit_code
        return self.run_stage("segment", fields_folder=self.ctx.sample.outputs.remote_folder)

    def rebuild(self) -> ToContext | ExitCode:
        """Rebuild the crystals."""
        if (exit_code := self.failure("segment")) is not None:
            return exit_code
        return self.run_stage(
            "rebuild",
            fields_folder=self.ctx.sample.outputs.remote_folder,
            segments_folder=self.ctx.segment.outputs.remote_folder,
        )

    def results(self) -> ExitCode | None:
        """Attach where the crystals are."""
        exit_code = self.failure("rebuild")
        outputs = self.ctx.rebuild.outputs
        if exit_code is None:
            self.out("crystals_folder", outputs.remote_folder)
            self.out("crystals_retrieved", outputs.retrieved)
        return exit_code

    def on_terminated(self) -> None:
        """Clean the remote folders where that was asked for."""
        super().on_terminated()
        if self.inputs.clean_workdir.value:
            clean_called(self)
