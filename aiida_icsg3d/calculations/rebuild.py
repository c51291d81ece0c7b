"""CalcJob that turns fields and segments into crystals."""

from __future__ import annotations

from typing import Any

from aiida.orm import StructureData

from ..data.remote_files import RemoteFolder
from .base import StageCalculation
from .bulk import StoresCrystals
from .files import InputFile


class RebuildCalculation(StoresCrystals, StageCalculation):
    """Rebuild crystals; each of them is linked here, where it is born, and nowhere else."""

    stage = "rebuild"
    files = (
        InputFile("fields_folder", "fields", "fields.h5"),
        InputFile("segments_folder", "segments", "segments.h5"),
    )
    retrieved_files = ("crystals.h5",)

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare inputs and outputs."""
        super().define(spec)
        for stage, file in (("sample", "fields"), ("segment", "segments")):
            words = f"Remote folder of the {stage} job, or its stash, with {file}.h5."
            spec.input(f"{file}_folder", valid_type=RemoteFolder, help=words)
        spec.output_namespace(
            "crystals", valid_type=StructureData, dynamic=True, required=False,
            help="Every rebuilt crystal by its id; label `FORMULA ID`, the description names the seed.",
        )  # fmt: skip
