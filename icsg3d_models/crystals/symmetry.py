"""Space group of a crystal, and its idealisation where it is nearly symmetric, by spglib."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

import numpy as np
import spglib

from .batch import Crystals

os.environ.setdefault("SPGLIB_WARNING", "OFF")  # generated crystals make it talk about every attempt
SYMPREC = 0.1  # Å; generated sites are off by a few hundredths


def symmetrise(
    cell: np.ndarray, frac: np.ndarray, numbers: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the crystal in the idealised primitive cell of the space group found within a tolerance.

    A generated crystal misses its symmetry by thousandths of an Å; without idealisation every DFT calculation pays
    for it with more k-points and a relaxation that never quite ends. Returned unchanged where spglib finds nothing.

    :param tolerance: largest displacement in Å (spglib's symprec).
    """
    crystal: Any = (cell, frac, numbers)
    found = spglib.standardize_cell(crystal, to_primitive=True, no_idealize=False, symprec=tolerance)
    if found is None:
        return cell, frac, numbers
    return np.asarray(found[0]), np.asarray(found[1]) % 1.0, np.asarray(found[2])


def space_group(crystals: Crystals, index: int) -> tuple[str, int]:
    """Return international symbol and number of one crystal, ("", 0) where spglib finds none."""
    return space_group_of((crystals.cell[index], *crystals.sites(index)))


def space_group_of(crystal: tuple[np.ndarray, np.ndarray, np.ndarray]) -> tuple[str, int]:
    """Return the same of a cell (3, 3), fractional coordinates (n, 3) and atomic numbers (n,)."""
    cell, frac, numbers = crystal
    return _space_group(
        cell.astype(np.float64).tobytes(), frac.astype(np.float64).tobytes(), numbers.astype(np.int64).tobytes()
    )


@lru_cache(maxsize=2**16)  # several conditions, figures and tables ask the same of the same crystals
def _space_group(of_cell: bytes, of_frac: bytes, of_numbers: bytes) -> tuple[str, int]:
    """Return the same of the bytes of contiguous arrays of float64 and int64."""
    cell, frac = (np.frombuffer(part).reshape(-1, 3) for part in (of_cell, of_frac))
    numbers = np.frombuffer(of_numbers, dtype=np.int64)
    found = spglib.get_spacegroup((cell.tolist(), frac.tolist(), numbers.tolist()), symprec=SYMPREC)
    if found is None:
        return "", 0
    symbol, number = found.split()
    return symbol, int(number.strip("()"))


def space_group_numbers(crystals: Crystals) -> np.ndarray:
    """Return the number of the space group of every crystal, (B,) int64; 0 where there is none, as of broken cells."""
    with np.errstate(invalid="ignore"):
        sound = np.isfinite(crystals.cell).all(axis=(1, 2)) & (crystals.volumes > 1e-3) & (crystals.counts > 0)
    numbers = [space_group(crystals, index)[1] if sound[index] else 0 for index in range(len(crystals))]
    return np.array(numbers, dtype=np.int64)
