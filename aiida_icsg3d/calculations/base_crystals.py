"""Base crystals of a job, which crystals are sampled around, as a crystal file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py
from aiida.orm import StructureData

from icsg3d_models.crystals.batch import Crystals, write_crystals

BASE_FILE = "base.h5"


def write_structures(nodes: Mapping[str, StructureData], path: Path) -> None:
    """Write structures as a crystal file, sorted by their names.

    :raises icsg3d_models.crystals.batch.CrystalError: one of them is no ordered crystal.
    """
    names = sorted(nodes)
    structures = [nodes[name].get_pymatgen_structure() for name in names]
    with h5py.File(path, "w") as file:
        write_crystals(file.create_group("crystals"), Crystals.from_structures(structures, names))
