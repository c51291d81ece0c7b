"""CalcJob that predicts properties, tests validity, uniqueness and novelty, and ranks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, ClassVar

from aiida.common.datastructures import CalcInfo
from aiida.common.folders import Folder
from aiida.orm import Dict, FolderData, RemoteData, SinglefileData

from icsg3d_models.networks.model_file import PREDICTORS
from icsg3d_models.settings import ScreenSettings

from ..data import TrainedModelData
from .base import StageCalculation, check_network


class ScreenCalculation(StageCalculation):
    """Screen the crystals of a rebuild job."""

    stage = "screen"
    files: ClassVar[Mapping[str, Any]] = {
        "crystals": "crystals.h5",
        "predictors": ["predictor.safetensors"],
        "reference": "reference",
    }
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

    @classmethod
    def linked_files(cls, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the names of crystals, predictors and reference; the suffix tells the kind of reference."""
        reference = inputs.get("reference")
        return {
            "crystals": cls.files["crystals"],
            "predictors": [f"predictor_{name}.safetensors" for name in sorted(inputs.get("predictors", {}))],
            "reference": f"reference{PurePosixPath(reference.filename).suffix}" if reference is not None else None,
        }

    def link_inputs(self, info: CalcInfo, folder: Folder) -> None:
        """Link the crystals, and copy predictors and reference."""
        crystals, files = self.inputs.crystals_folder, self.linked_files(self.inputs)
        if isinstance(crystals, RemoteData):
            self.link_remote(info, crystals, files["crystals"])
        else:
            self.copy_file(info, crystals, files["crystals"], files["crystals"])
        for name, file in zip(sorted(self.inputs.predictors), files["predictors"], strict=True):
            self.copy_file(info, self.inputs.predictors[name], file)
        if "reference" in self.inputs:
            self.copy_file(info, self.inputs.reference, files["reference"])
