"""CalcJob that scores crystals by the published metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.orm import Dict, FolderData, RemoteData, SinglefileData

from icsg3d_models.networks.model_file import PREDICTORS
from icsg3d_models.settings import EvaluateSettings

from ..data import CrystalDatasetData, TrainedModelData
from .base import StageCalculation, check_network, check_part
from .files import InputFile

CRYSTALS = "crystals.h5"


class EvaluateCalculation(StageCalculation):
    """Score the crystals of a rebuild job, beside what the reference set itself scores.

    A reconstruction: a sample job in mode ``reconstruct`` takes a part of a dataset, a segment and a rebuild job make
    crystals of it, and this job, with ``mode`` reconstruction, ``paired_by`` order and the same dataset and ``part``,
    compares each with its true one.
    """

    CACHE_VERSION = 4  # 4: notes on what is not paired, singular cells set aside
    stage = "evaluate"
    files = (
        InputFile("crystals_folder", "crystals", CRYSTALS),
        InputFile("reference", "reference", "reference.h5"),
        InputFile("training", "training", "training.h5", assumed=False),
        InputFile("predictors", "predictors", "predictor_{name}.safetensors"),
        InputFile("stability", "stability", "stability{suffix}", assumed=False),
        InputFile("unconditioned_folder", "unconditioned", "unconditioned.h5", path=CRYSTALS, assumed=False),
    )
    retrieved_files = ("evaluation.json", "evaluation.md", "evaluation.csv")

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare inputs and outputs."""
        super().define(spec)
        spec.input(
            "crystals_folder",
            valid_type=(RemoteData, FolderData),
            help="Remote folder of the rebuild job, or its retrieved folder where the evaluation runs on another "
            "computer; either holds crystals.h5.",
        )
        spec.input(
            "reference", valid_type=CrystalDatasetData,
            help="The true crystals; `settings.part` says which part of them.",
        )  # fmt: skip
        spec.input(
            "training", valid_type=CrystalDatasetData, required=False,
            help="What novelty is judged against: its training part; default: that of `reference`.",
        )  # fmt: skip
        spec.input_namespace(
            "predictors", valid_type=TrainedModelData, required=False, dynamic=True,
            help="Property models by a name, which the generator has not seen; several are averaged.",
        )  # fmt: skip
        spec.input(
            "stability", valid_type=SinglefileData, required=False,
            help="CSV with the column `id` and the column `settings.stable_column`, for S.U.N.",
        )  # fmt: skip
        spec.input(
            "unconditioned_folder", valid_type=(RemoteData, FolderData), required=False,
            help="As `crystals_folder`, of samples drawn without the target.",
        )  # fmt: skip
        spec.output("evaluation", valid_type=Dict, required=False, help="`figures`, and `conditions` they depend on.")
        spec.output("table", valid_type=SinglefileData, required=False, help="evaluation.md, the figures as a table.")
        spec.output("details", valid_type=SinglefileData, required=False, help="evaluation.csv, one row a crystal.")

    @classmethod
    def check_inputs(cls, inputs: Mapping[str, Any], ports: Any) -> None:
        """Check the predictors and the part."""
        super().check_inputs(inputs, ports)
        settings = inputs["settings"].get_dict()
        for name, node in inputs.get("predictors", {}).items():
            check_network(f"predictors.{name}", node, *PREDICTORS)
        if "reference" in inputs:
            part = settings.get("part", EvaluateSettings.model_fields["part"].default)
            check_part("reference", inputs["reference"], part)
        if "training" in inputs:
            check_part("training", inputs["training"], "train")

    @classmethod
    def assumed_files(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return what files there may be: no predictors of a reconstruction, which refuses them."""
        assumed = super().assumed_files(settings)
        return {**assumed, "predictors": []} if settings.get("mode") == "reconstruction" else assumed
