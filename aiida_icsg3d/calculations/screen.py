"""CalcJob that predicts properties, tests validity, uniqueness and novelty, and ranks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiida.common.folders import Folder
from aiida.orm import Dict, FolderData, RemoteData, SinglefileData, StructureData

from icsg3d_models.networks.model_file import PREDICTORS
from icsg3d_models.settings import ScreenSettings

from ..data import TrainedModelData
from .base import StageCalculation, check_network
from .base_crystals import BASE_FILE, write_structures
from .files import InputFile

FOUND_FILE = "found.h5"


class ScreenCalculation(StageCalculation):
    """Screen the crystals of a rebuild job."""

    stage = "screen"
    files = (
        InputFile("crystals_folder", "crystals", "crystals.h5"),
        InputFile("predictors", "predictors", "predictor_{name}.safetensors"),
        InputFile("reference", "reference", "reference{suffix}"),  # the suffix tells the kind of reference
        InputFile("base", "base", BASE_FILE, written=True),
        InputFile("found", "found", FOUND_FILE, written=True),
        InputFile("known_formulas", "known_formulas", "known_formulas{suffix}"),  # and whether a list is compressed
    )
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
        spec.input_namespace(
            "base", valid_type=StructureData, required=False, dynamic=True,
            help="Crystals that were sampled around, by a name: a candidate that is one of them is not novel.",
        )  # fmt: skip
        spec.input_namespace(
            "found", valid_type=StructureData, required=False, dynamic=True,
            help="Crystals that earlier rounds of a campaign tried, by a name: a candidate that is one is not novel.",
        )  # fmt: skip
        spec.input(
            "known_formulas", valid_type=SinglefileData, required=False,
            help="Known compounds, a text file with one formula a line; `unknown` in `settings.require` rejects them.",
        )  # fmt: skip
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
        given = "reference" in inputs or bool(inputs.get("base")) or bool(inputs.get("found"))
        if "reference" in ports and not given and "novel" in asked:
            raise ValueError(
                "candidates must be novel, but there is no `reference` to compare with; give the training set or its "
                "fingerprint, or leave `novel` out of `settings.require`"
            )

    @classmethod
    def linked_files(cls, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return setting -> file; a program of an earlier release does not know all settings, so null is left out."""
        named = super().linked_files(inputs)
        return {
            name: file
            for name, file in named.items()
            if file is not None or name not in ("base", "found", "known_formulas")
        }

    def write_files(self, folder: Folder) -> None:
        """Write the base crystals, and those of earlier rounds."""
        if self.inputs.get("base"):
            write_structures(self.inputs.base, Path(folder.abspath) / BASE_FILE)
        if self.inputs.get("found"):
            write_structures(self.inputs.found, Path(folder.abspath) / FOUND_FILE)
