"""The crystal file: crystals in the group ``crystals`` of an HDF5 file. A dataset file is one too."""

from __future__ import annotations

import os
from pathlib import Path

import h5py

from ..results import StageError
from .batch import CrystalError, Crystals, read_crystals, write_crystals


def read_crystal_file(path: Path) -> Crystals:
    """Return the crystals of a crystal file or a dataset file.

    :raises StageError: missing, not readable, or empty.
    """
    if not path.is_file():
        raise StageError("input_missing", f"{path}: no such crystal file; `icsg3d rebuild` writes one")
    try:
        with h5py.File(path, "r") as file:
            crystals = read_crystals(file.get("crystals", file))
    except (OSError, KeyError, CrystalError) as exception:
        raise StageError("input_unreadable", f"{path}: not readable as a crystal file ({exception})") from exception
    if len(crystals) == 0:
        raise StageError("nothing_valid", f"{path}: holds no crystals")
    return crystals


def write_crystal_file(path: Path, crystals: Crystals) -> None:
    """Write a crystal file atomically."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with h5py.File(temporary, "w") as file:
        write_crystals(file.create_group("crystals"), crystals)
    os.replace(temporary, path)
