"""Field files: what passes between sampling, segmentation and rebuilding, in HDF5.

``fields.h5``: ``occupancy`` (B, n, n, n) and ``species`` (B, K, n/2, n/2, n/2) float16, ``cell`` (B, 3, 3) Å,
``latent`` (B, Z), ``ids``. ``segments.h5``: ``region`` (B, n, n, n) uint16 (0: no atom), ``species`` (B, n, n, n)
uint8 atomic numbers, and one row a region: ``offsets`` (B + 1,), ``peak`` (R, 3), ``number`` (R,),
``confidence`` (R,).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from .results import StageError


@contextmanager
def open_arrays(path: Path, needed: tuple[str, ...]) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading and check that it holds the arrays needed.

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
        missing = [name for name in needed if name not in file]
        if missing:
            raise StageError("input_unreadable", f"{path}: no {', '.join(missing)} in it; it is another stage's file")
        yield file


class ArrayWriter:
    """Appends batches of rows to arrays of one HDF5 file; the file appears under its name when it is whole."""

    def __init__(self, path: Path, units: dict[str, str]) -> None:
        self.path, self.units = path, units
        self.temporary = path.with_name(f".{path.name}.part")

    def __enter__(self) -> ArrayWriter:
        self.file = h5py.File(self.temporary, "w")
        return self

    def append(self, **rows: np.ndarray) -> None:
        """Append rows to each named array."""
        for name, values in rows.items():
            if name not in self.file:
                chunks = (min(64, max(1, len(values))), *values.shape[1:])
                dataset = self.file.create_dataset(
                    name,
                    shape=(0, *values.shape[1:]),
                    maxshape=(None, *values.shape[1:]),
                    dtype=values.dtype,
                    chunks=chunks,
                )
                dataset.attrs["units"], _, dataset.attrs["dimensions"] = self.units[name].partition("; ")
            dataset = self.file[name]
            dataset.resize(len(dataset) + len(values), axis=0)
            if len(values):
                dataset[-len(values) :] = values

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        self.file.close()
        if kind is None:
            self.temporary.replace(self.path)
        else:
            self.temporary.unlink(missing_ok=True)
