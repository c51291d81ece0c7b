"""CalcJob that builds a dataset file from CIFs."""

from __future__ import annotations

from typing import Any

from aiida.orm import FolderData, SinglefileData

from ..data import CrystalDatasetData
from .base import StageCalculation
from .files import InputFile


class PrepareCalculation(StageCalculation):
    """Build a dataset from crystals of any source that `icsg3d prepare` reads from files."""

    # 4: one reader for all sources; what contradicts itself is refused. 5: the summary says what is few or odd
    CACHE_VERSION = 5
    stage = "prepare"
    files = (InputFile("source", "source", "source_{file}", path="."),)
    retrieved_files = ("dataset.h5",)

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare inputs and outputs."""
        super().define(spec)
        spec.input(
            "source",
            valid_type=(SinglefileData, FolderData),
            help="A .csv with a column of CIFs, a .cif, a POSCAR, a .zip of these, an .extxyz, a .json of pymatgen, a "
            ".db of ASE (SinglefileData), or a folder of CIFs, POSCARs and JSON (FolderData). The name tells which.",
        )
        spec.output("dataset", valid_type=CrystalDatasetData, required=False, help="The dataset.")
