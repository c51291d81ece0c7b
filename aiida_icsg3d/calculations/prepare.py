"""CalcJob that builds a dataset file from CIFs."""

from __future__ import annotations

from typing import Any

from aiida.orm import FolderData, SinglefileData

from ..data import CrystalDatasetData
from .base import StageCalculation
from .files import InputFile


class PrepareCalculation(StageCalculation):
    """Build a dataset from a CSV of CIFs, a folder or zip of CIFs, or an extxyz file."""

    stage = "prepare"
    files = (InputFile("source", "source", "source_{file}", path="."),)
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
