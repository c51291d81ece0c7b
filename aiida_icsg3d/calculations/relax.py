"""CalcJob that relaxes hundreds of crystals with a machine-learned potential in one job."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiida.common.folders import Folder
from aiida.orm import FolderData, RemoteData, SinglefileData, StructureData

from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.crystals.crystal_file import write_crystal_file
from icsg3d_models.settings import StageSettings

from .base import StageCalculation
from .bulk import StoresCrystals
from .files import InputFile

DEADLINE_SHARE = 0.9  # of the wall time: the rest is for the crystal in hand, the hull and the table
CRYSTALS = "crystals.h5"
RELAXED = "relaxed.h5"
TABLE = "relax.csv"
JOURNAL = "relax.jsonl"


class RelaxCalculation(StoresCrystals, StageCalculation):
    """Relax crystals and estimate their energies above the hull; each relaxed one is linked here and nowhere else."""

    stage = "relax"
    files = (
        InputFile("structures", "crystals", CRYSTALS, written=True),
        InputFile("crystals_folder", "crystals", CRYSTALS),
        InputFile("references", "references", "references{suffix}", assumed=False),  # the suffix tells the format
        InputFile("parent_folder", "resume_from", "earlier.jsonl", path=JOURNAL),
    )
    retrieved_files = (RELAXED, TABLE)

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare inputs and outputs."""
        super().define(spec)
        spec.input(
            "crystals_folder", valid_type=(RemoteData, FolderData), required=False,
            help="Remote folder of the rebuild job, or its retrieved folder where this job runs on another computer; "
            "either holds crystals.h5. `settings.only` takes some of them.",
        )  # fmt: skip
        spec.input_namespace(
            "structures", valid_type=StructureData, required=False, dynamic=True,
            help="In place of `crystals_folder`: crystals by their identifiers.",
        )  # fmt: skip
        spec.input(
            "references", valid_type=SinglefileData, required=False,
            help="Competing phases, CSV or JSON; default: the table that comes with the package.",
        )  # fmt: skip
        spec.input(
            "parent_folder", valid_type=RemoteData, required=False,
            help="Remote folder of an earlier relax job of the same crystals and settings, to go on from.",
        )  # fmt: skip
        spec.output("table", valid_type=SinglefileData, required=False, help="relax.csv, one row a crystal.")
        spec.output_namespace(
            "crystals", valid_type=StructureData, dynamic=True, required=False,
            help="Every crystal that was relaxed, by its id; label `FORMULA ID`, the description names the potential.",
        )  # fmt: skip

    @classmethod
    def check_inputs(cls, inputs: Mapping[str, Any], ports: Any) -> None:
        """Check that crystals are given, once."""
        given = [name for name in ("structures", "crystals_folder") if inputs.get(name)]
        if {"structures", "crystals_folder"} <= set(ports) and len(given) != 1:
            raise ValueError(
                f"crystals are given by {' and by '.join(given) or 'nothing'}; give `crystals_folder` or `structures`"
            )
        super().check_inputs(inputs, ports)
        settings = inputs["settings"].get_dict()
        if "references" in ports and "references" not in inputs and settings.get("references_label") is not None:
            raise ValueError("settings.references_label belongs to the input `references`, which is not given")
        only = settings.get("only")
        unknown = sorted(set(only or ()) - set(inputs.get("structures") or only or ()))
        if unknown:
            raise ValueError(f"settings.only names {', '.join(unknown)}, which are not among `structures`")

    def final_settings(self) -> StageSettings:
        """Return the settings, with a deadline before the scheduler's."""
        settings = super().final_settings()
        limit = self.inputs.metadata.options.get("max_wallclock_seconds")
        if limit is None:
            return settings
        deadlines = [DEADLINE_SHARE * limit, getattr(settings, "deadline_seconds", None)]
        return settings.model_copy(update={"deadline_seconds": min(d for d in deadlines if d is not None)})

    def write_files(self, folder: Folder) -> None:
        """Write the crystals that are given as nodes."""
        if self.inputs.get("structures"):
            names = sorted(self.inputs.structures)
            structures = [self.inputs.structures[name].get_pymatgen_structure() for name in names]
            write_crystal_file(Path(folder.abspath) / CRYSTALS, Crystals.from_structures(structures, names))
