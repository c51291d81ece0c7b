"""Field files: what passes between sampling, segmentation and rebuilding, in HDF5.

``fields.h5``: ``occupancy`` (B, n, n, n) and ``species`` (B, K, n/2, n/2, n/2) float16, ``cell`` (B, 3, 3) Å,
``latent`` (B, ...), ``sample`` (B,), and where the prior drew what the cells hold, ``contents`` (B, K, 2) atomic number
and atoms. ``segments.h5``: ``region`` (B, n, n, n) uint16 (0: no atom), ``species``
(B, n, n, n) uint8 atomic numbers, ``count`` (B,) regions of each sample, and one row a region: ``peak`` (R, 3),
``number`` (R,), ``confidence`` (R,).

The systems of the seed papers have their density as ``occupancy`` and, in place of the species, ``coordinates``
(B, 3, n, n, n) Å or nothing. Their segments say where the sites are, ``frac`` (R, 3), where the lattice is found from
the atoms also ``cell`` (B, 3, 3), and ``problem`` (B,) of samples in which nothing is found.

Where the grid follows the cell, the arrays of each grid (nx, ny, nz) are in a group of their own, ``nx x ny x nz``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from ..results import StageError
from .grids import Grid


@contextmanager
def open_arrays(path: Path, needed: tuple[str, ...]) -> Iterator[dict[str, h5py.Group]]:
    """Open an HDF5 file for reading and check that it holds the arrays needed.

    :return: group name -> group with the arrays; the name is empty where all samples are on the same grid.
    :raises StageError: missing, no HDF5, or an array is not there.
    """
    if not path.is_file():
        raise StageError("input_missing", f"{path}: no such file; run the stage before this one first")
    try:
        file = h5py.File(path, "r")
    except OSError as exception:
        raise StageError(
            "input_unreadable", f"{path}: no readable HDF5 file ({exception}); run the stage before again"
        ) from exception
    with file:
        groups = {name: entry for name, entry in file.items() if isinstance(entry, h5py.Group)} or {"": file}
        missing = sorted({name for group in groups.values() for name in needed if name not in group})
        if missing:
            raise StageError("input_unreadable", f"{path}: no {', '.join(missing)} in it; it is another stage's file")
        yield groups


def group_name(grid: Grid) -> str:
    """Return the name of the group of one grid."""
    return "x".join(map(str, grid))


class ArrayWriter:
    """Appends batches of rows to arrays of one HDF5 file; the file appears under its name when it is whole."""

    def __init__(self, path: Path, units: dict[str, str]) -> None:
        self.path, self.units = path, units
        self.temporary = path.with_name(f".{path.name}.part")

    def __enter__(self) -> ArrayWriter:
        self.file = h5py.File(self.temporary, "w")
        return self

    def append(self, group: str = "", **rows: np.ndarray) -> None:
        """Append rows to each named array, of the file or of one of its groups."""
        place = self.file.require_group(group) if group else self.file
        for name, values in rows.items():
            if name not in place:
                chunks = (min(64, max(1, len(values))), *values.shape[1:])
                dataset = place.create_dataset(
                    name,
                    shape=(0, *values.shape[1:]),
                    maxshape=(None, *values.shape[1:]),
                    dtype=values.dtype,
                    chunks=chunks,
                )
                dataset.attrs["units"], _, dataset.attrs["dimensions"] = self.units[name].partition("; ")
            dataset = place[name]
            dataset.resize(len(dataset) + len(values), axis=0)
            if len(values):
                dataset[-len(values) :] = values

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        self.file.close()
        if kind is None:
            self.temporary.replace(self.path)
        else:
            self.temporary.unlink(missing_ok=True)
