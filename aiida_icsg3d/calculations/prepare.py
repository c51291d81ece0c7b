"""CalcJob that builds a dataset file from CIFs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from aiida.common.datastructures import CalcInfo
from aiida.common.folders import Folder
from aiida.orm import FolderData, SinglefileData

from ..data import CrystalDatasetData
from .base import StageCalculation

SOURCE_FOLDER = "source"


class PrepareCalculation(StageCalculation):
    """Build a dataset from a CSV of CIFs, a folder or zip of CIFs, or an extxyz file."""

    stage = "prepare"
    files: ClassVar[Mapping[str, Any]] = {"source": SOURCE_FOLDER}
    owned = ("dataset",)
    retrieved_files = ("dataset.h5",)

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare inputs and outputs."""
        super().define(spec)
        spec.input(
            "source",
            valid_type=(SinglefileData, FolderData),
            help="A .csv with a column of CIFs, a .zip of CIFs or an .extxyz (SinglefileData), or a folder of .cif "
            "files (FolderData). The suffix of the file tells which.",
        )
        spec.output("dataset", valid_type=CrystalDatasetData, required=False, help="The dataset.")

    @classmethod
    def linked_files(cls, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the name of the source, whose suffix tells its kind."""
        source = inputs["source"]
        return {"source": f"source_{source.filename}" if isinstance(source, SinglefileData) else SOURCE_FOLDER}

    def link_inputs(self, info: CalcInfo, folder: Folder) -> None:
        """Copy the source."""
        source = self.inputs.source
        if isinstance(source, SinglefileData):
            self.copy_file(info, source, self.linked_files(self.inputs)["source"])
        else:
            self.copy_file(info, source, SOURCE_FOLDER, ".")
