"""Magnetic moments that a file gives for its sites, which a crystal of a dataset does not keep."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

LOST = "magnetic moments are not kept; sites of one element are alike in a dataset"
SMALL = 0.1
"""Bohr magnetons; what a spin-polarised calculation of a crystal without order leaves on its sites is below."""
KEYS = ("magmom", "magmoms", "initial_magmoms", "magnetic_moment", "magnetic_moments", "spin", "spins")
"""Columns of moments, in the words of ASE, pymatgen and those who write extxyz by hand."""


def note_of(columns: Iterable[Any]) -> str:
    """Return the note of a crystal with moments, '' where there are none to speak of.

    :param columns: candidates for moments: (n,) or (n, 3) numbers; anything else holds none.
    """
    for column in columns:
        try:
            values = np.array([0.0 if value is None else value for value in column], dtype=float)
        except (TypeError, ValueError):  # what only is called so
            continue
        if values.size and np.nanmax(np.abs(np.nan_to_num(values))) > SMALL:
            return LOST
    return ""
