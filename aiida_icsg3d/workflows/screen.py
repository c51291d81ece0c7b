"""WorkChain that screens crystals and selects the best."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import ExitCode, ProcessBuilder, ToContext, WorkChain
from aiida.orm import AbstractCode, Bool, FolderData, Int, RemoteData, SinglefileData, to_aiida_type

from ..calculations.exit_codes import declare, failed_child, label_of
from ..calculations.screen import ScreenCalculation
from ..data import TrainedModelData
from .cleaning import clean_called
from .protocols import load_protocol
from .stages.stage import MAX_RETRIES, ScreenStage, last_job, validate_retries


class ScreenWorkChain(WorkChain):
    """Predict, test and rank the crystals of a rebuild job."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        spec.expose_inputs(ScreenCalculation, namespace="screen")
        spec.input(
            "clean_workdir", valid_type=Bool, default=lambda: Bool(False), help="Clean the remote folder at the end."
        )
        spec.input(
            "max_retries", valid_type=Int, default=lambda: Int(MAX_RETRIES), serializer=to_aiida_type,
            validator=validate_retries,
            help="How often the job is tried again after it was killed, preempted or lost with its node.",
        )  # fmt: skip
        spec.outline(cls.run_screen, cls.results)
        spec.expose_outputs(ScreenCalculation, include=("results", "table", "selected"))
        spec.outputs["results"].required = False
        declare(spec, "ERROR_SCREEN_FAILED", "ERROR_NOTHING_VALID")

    @classmethod
    def get_builder_from_protocol(
        cls,
        code: AbstractCode,
        crystals_folder: RemoteData | FolderData | None = None,
        predictors: Mapping[str, TrainedModelData] | None = None,
        reference: SinglefileData | None = None,
        *,
        elements: list[str] | None = None,
        top: int | None = None,
        seed: int = 0,
        protocol: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> ProcessBuilder:
        """Return a builder filled in by a protocol.

        :param crystals_folder: remote or retrieved folder of the rebuild job.
        :param reference: dataset or fingerprint that novelty is judged against.
        :param top: how many candidates to select.
        :param overrides: of the protocol ``screen``.
        :param options: AiiDA's ``metadata.options`` of the job, above those of the protocol.
        :raises ValueError: an unknown protocol or key, or settings that are not accepted.
        """
        inputs = load_protocol("screen", protocol, overrides)
        settings = {"seed": seed, **inputs["screen"]["settings"]}
        settings.update({key: value for key, value in {"top": top, "elements": elements}.items() if value is not None})
        builder: Any = cls.get_builder()
        builder.clean_workdir = Bool(inputs["clean_workdir"])
        builder.max_retries = Int(inputs["max_retries"])
        builder.screen.code = code
        builder.screen.settings = settings
        builder.screen.metadata.options = {**inputs["screen"]["options"], **(options or {})}
        if crystals_folder is not None:
            builder.screen.crystals_folder = crystals_folder
        if predictors:
            builder.screen.predictors = dict(predictors)
        if reference is not None:
            builder.screen.reference = reference
        return builder

    def run_screen(self) -> ToContext:
        """Submit the stage."""
        inputs = self.exposed_inputs(ScreenCalculation, "screen")
        metadata = {"call_link_label": "screen"}
        node = self.submit(ScreenStage, job=inputs, max_retries=self.inputs.max_retries, metadata=metadata)
        self.report(f"launching {ScreenStage.__name__}<{node.pk}>")
        return ToContext(screen=node)

    def results(self) -> ExitCode | None:
        """Attach the outputs, as far as they are there."""
        node = self.ctx.screen
        self.out_many({name: node.outputs[name] for name in ("results", "table", "selected") if name in node.outputs})
        if node.is_finished_ok:
            return None
        if label_of(node) == "ERROR_NOTHING_VALID":
            return self.exit_codes.ERROR_NOTHING_VALID.format(message=last_job(node).exit_message)
        return failed_child(self.exit_codes, "ERROR_SCREEN_FAILED", node)

    def on_terminated(self) -> None:
        """Clean the remote folder where that was asked for."""
        super().on_terminated()
        if self.inputs.clean_workdir.value:
            clean_called(self)
