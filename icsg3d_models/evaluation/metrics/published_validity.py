"""Validity of structures and compositions, as CDVAE defines it (arXiv:2110.06197 and its code).

The composition test depends on the version of SMACT and on its flags; both are pinned where the test is
made, in :mod:`icsg3d_models.crystals.validity`, and printed with every table.
"""

from __future__ import annotations

import numpy as np

from ...crystals.batch import Crystals
from ...crystals.validity import composition_test, composition_valid

MIN_DISTANCE = 0.5  # Å
MIN_VOLUME = 0.1  # Å³


def structure_validity(crystals: Crystals, min_distance: float = MIN_DISTANCE) -> np.ndarray:
    """Return which crystals are structurally valid, (B,) bool.

    Valid: the volume of the cell is at least 0.1 Å³ and any two different sites, periodic images
    included, are at least ``min_distance`` apart. As published, the distance of a site to its own images
    is not looked at (the screening of candidates does). A crystal without sites is not valid.

    :param min_distance: Å.
    """
    from pymatgen.core import Lattice

    valid = np.isfinite(crystals.cell).all(axis=(1, 2)) & (crystals.counts > 0)
    valid[valid] = np.abs(np.linalg.det(crystals.cell[valid])) >= MIN_VOLUME
    for index in np.flatnonzero(valid & (crystals.counts > 1)).tolist():
        frac, _ = crystals.sites(index)
        if not np.isfinite(frac).all():
            valid[index] = False
            continue
        distances = Lattice(crystals.cell[index]).get_all_distances(frac, frac)
        distances[np.diag_indices_from(distances)] = np.inf
        valid[index] = distances.min() >= min_distance
    return valid


def composition_validity(crystals: Crystals) -> np.ndarray:
    """Return which crystals have a valid composition, (B,) bool.

    Valid: one element only; or all elements metals; or there is a choice of one oxidation state an
    element that is neutral and in which every cation is less electronegative (Pauling) than every anion.
    A crystal without sites has no composition and is not valid.
    """
    present = crystals.counts > 0
    valid = np.zeros(len(crystals), dtype=bool)
    valid[present] = [composition_valid(formula) for formula in crystals.take(np.flatnonzero(present)).formulas()]
    return valid


def conditions() -> dict[str, str | float | bool]:
    """Return what the validity figures depend on, to print beside them."""
    return {
        "structure": f"distances at least {MIN_DISTANCE} Å, volume at least {MIN_VOLUME} Å³",
        "composition": ", ".join(f"{key} {value}" for key, value in composition_test().items()),
    }
