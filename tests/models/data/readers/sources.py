"""Small sources of crystals that the tests of the readers write."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter

from icsg3d_models.data.datasets import Dataset, read_dataset
from icsg3d_models.data.prepare import run
from icsg3d_models.results import Report
from icsg3d_models.settings import PrepareSettings


def rock_salt(metal: str, a: float = 3.0) -> Structure:
    return Structure(Lattice.cubic(a), [metal, "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def half(metal: str = "Mg") -> Structure:
    """Return a crystal with partial occupancy."""
    return Structure(Lattice.cubic(3), [{metal: 0.5, "Ca": 0.5}, "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def cif(structure: Structure) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return str(CifWriter(structure))


def folder_of(path: Path, *metals: str) -> Path:
    """Write one CIF for each metal, named after it; the names may hold folders."""
    for metal in metals:
        file = path / f"{metal}.cif"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(cif(rock_salt(Path(metal).name)))
    return path


def prepare(folder: Path, **settings: Any) -> tuple[Report, Dataset]:
    """Run the stage in ``folder`` and return its report and dataset."""
    report = Report("prepare", folder, quiet=True)
    run(PrepareSettings(**settings), report)
    return report, read_dataset(folder / "dataset.h5")
