"""Idealisation of a nearly symmetric crystal."""

from __future__ import annotations

from typing import Any

import numpy as np


def symmetrise(
    cell: np.ndarray, frac: np.ndarray, numbers: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the crystal in the idealised primitive cell of the space group found within a tolerance.

    A generated crystal misses its symmetry by thousandths of an Å; without idealisation every DFT calculation pays
    for it with more k-points and a relaxation that never quite ends. Returned unchanged where spglib finds nothing.

    :param tolerance: largest displacement in Å (spglib's symprec).
    """
    import spglib

    crystal: Any = (cell, frac, numbers)
    found = spglib.standardize_cell(crystal, to_primitive=True, no_idealize=False, symprec=tolerance)
    if found is None:
        return cell, frac, numbers
    return np.asarray(found[0]), np.asarray(found[1]) % 1.0, np.asarray(found[2])
