"""CalcJob that predicts properties, tests validity, uniqueness and novelty, and ranks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.orm import Dict, FolderData, RemoteData, SinglefileData

from icsg3d_models.networks.model_file import PREDICTORS
from icsg3d_models.settings import ScreenSettings

from ..data import TrainedModelData
from .base import StageCalculation, check_network
from .files import InputFile


class ScreenCalculation(StageCalculation):
    """Screen the crystals of a rebuild job."""

    stage = "screen"
    files = (
        InputFile("crystals_folder", "crystals", "crystals.h5"),
        InputFile("predictors", "predictors", "predictor_{name}.safetensors"),
        InputFile("reference", "reference", "reference{suffix}"),  # the suffix tells the kind of reference
    )
    owned = ("table",)
    retrieved_files = ("screening.csv",)

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare inputs and outputs."""
        super().define(spec)
        spec.input(
            "crystals_folder",
            valid_type=(RemoteData, FolderData),
            help="Remote folder of the rebuild job, or its retrieved folder where the screening runs on another "
            "computer; either holds crystals.h5.",
        )
        spec.input_namespace(
            "predictors", valid_type=TrainedModelData, dynamic=True,
            help="Property models by a name; several for one property are averaged and give its uncertainty.",
        )  # fmt: skip
        spec.input(
            "reference",
            valid_type=SinglefileData,
            required=False,
            help="What novelty is judged against: a CrystalDatasetData, or the fingerprint file of a training set.",
        )
        spec.output("table", valid_type=SinglefileData, required=False, help="screening.csv, one row a crystal.")
        spec.output(
            "selected", valid_type=Dict, required=False,
            help="`ids` of the selected crystals, best first, and `rows`: id -> row of the table.",
        )  # fmt: skip

    @classmethod
    def check_inputs(cls, inputs: Mapping[str, Any], ports: Any) -> None:
        """Check the reference, that there is a predictor, and that all are property models."""
        super().check_inputs(inputs, ports)
        cls.check_reference(inputs, ports)
        if "predictors" not in ports:
            return
        if not inputs.get("predictors"):
            raise ValueError("no predictor is given; ranking needs at least one CGCNN or VoxelNet in `predictors`")
        for name, node in inputs["predictors"].items():
            check_network(f"predictors.{name}", node, *PREDICTORS)

    @classmethod
    def check_reference(cls, inputs: Mapping[str, Any], ports: Any) -> None:
        """Refuse to ask for novelty without saying against what.

        :raises ValueError: no reference.
        """
        asked = inputs["settings"].get_dict().get("require", ScreenSettings.model_fields["require"].default)
        if "reference" in ports and "reference" not in inputs and "novel" in asked:
            raise ValueError(
                "candidates must be novel, but there is no `reference` to compare with; give the training set or its "
                "fingerprint, or leave `novel` out of `settings.require`"
            )
