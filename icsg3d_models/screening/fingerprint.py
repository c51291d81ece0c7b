"""The fingerprint of a training set: its crystals on a coarse grid, by which novelty is judged without the data.

Coordinates are rounded to 1/256 of the cell and no properties are kept: some tens of bytes a crystal, enough
for StructureMatcher, whose tolerance is thirty times larger. A shorter description (composition and smeared
distances of pairs) was tried: it disagrees with StructureMatcher for 4 % of perovskites with A and B exchanged.
Whoever may not show the crystals of a training set should not pass its fingerprint on.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from ..crystals import CrystalError, Crystals

FORMAT = "icsg3d-fingerprint"
FORMAT_VERSION = 1
FINGERPRINT_FILE = "fingerprint.h5"
STEPS = 256  # along each cell vector


class FingerprintError(CrystalError):
    """A fingerprint that cannot be used; the message names the file and what to do."""


@dataclass(frozen=True)
class Fingerprint:
    """Coarse crystals of a training set.

    :param name: name of the data.
    :param crystals: coordinates are multiples of 1/256.
    """

    name: str
    crystals: Crystals


def write_fingerprint(path: str | Path, crystals: Crystals, name: str) -> None:
    """Write the fingerprint of a training set atomically."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    arrays = {
        "cell": crystals.cell.astype(np.float32),
        "frac": (np.rint(crystals.frac * STEPS) % STEPS).astype(np.uint8),
        "numbers": crystals.numbers.astype(np.uint8),
        "counts": crystals.counts.astype(np.int32),
    }
    with h5py.File(temporary, "w") as file:
        file.attrs.update(format=FORMAT, format_version=FORMAT_VERSION, name=name)
        for key, array in arrays.items():
            file.create_dataset(key, data=array, compression="gzip", compression_opts=9, shuffle=True)
    os.replace(temporary, path)


def read_fingerprint(path: str | Path) -> Fingerprint:
    """Read a fingerprint file.

    :raises FingerprintError: missing, foreign, damaged, or of a newer release.
    """
    hint = "`icsg3d train` with network cgcnn writes one beside its model"
    if not Path(path).is_file():
        raise FingerprintError(f"{path}: no such fingerprint file; {hint}")
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != FORMAT:
                raise FingerprintError(f"{path}: an HDF5 file, but no fingerprint; {hint}")
            if int(file.attrs["format_version"]) > FORMAT_VERSION:
                raise FingerprintError(f"{path}: written by a newer release; upgrade aiida-icsg3d")
            offsets = np.concatenate([[0], np.cumsum(file["counts"][()], dtype=np.int64)])
            crystals = Crystals(
                file["cell"][()].astype(np.float64),
                file["frac"][()] / STEPS,
                file["numbers"][()].astype(np.int64),
                offsets,
                tuple(f"known-{i}" for i in range(len(offsets) - 1)),
            )
            name = str(file.attrs["name"])
    except (OSError, KeyError) as exception:
        raise FingerprintError(f"{path}: not readable as a fingerprint ({exception}); {hint}") from exception
    if not len(crystals.frac) == len(crystals.numbers) == offsets[-1] or len(crystals.cell) != len(crystals):
        raise FingerprintError(f"{path}: lengths disagree; the file is damaged")
    return Fingerprint(name, crystals)
