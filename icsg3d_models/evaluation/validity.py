"""Validity of structures and compositions, as CDVAE defines it (arXiv:2110.06197 and its code).

The composition test depends on the version of SMACT and on its flags: both are pinned here, reported by
:func:`conditions` and printed with every table. SMACT: Davies et al., J. Open Source Softw. 4, 1361
(2019), doi:10.21105/joss.01361; the criterion follows Davies et al., Chem 1, 617 (2016).
"""

from __future__ import annotations

import functools
import importlib.metadata

import numpy as np

from ..crystals import Crystals
from ..elements import SYMBOLS

MIN_DISTANCE = 0.5  # Å
MIN_VOLUME = 0.1  # Å³
OXIDATION_STATES = "smact14"  # the states that SMACT had when the published tables were made


def structure_validity(crystals: Crystals, min_distance: float = MIN_DISTANCE) -> np.ndarray:
    """Return which crystals are structurally valid, (B,) bool.

    Valid: the volume of the cell is at least 0.1 Å³ and any two different sites, periodic images
    included, are at least ``min_distance`` apart. As published, the distance of a site to its own images
    is not looked at. A crystal without sites is not valid.

    :param min_distance: Å.
    """
    from pymatgen.core import Lattice

    valid = np.isfinite(crystals.cell).all(axis=(1, 2)) & (crystals.counts > 0)
    valid[valid] &= crystals.volumes[valid] >= MIN_VOLUME
    for index in np.flatnonzero(valid & (crystals.counts > 1)).tolist():
        frac, _ = crystals.sites(index)
        if not np.isfinite(frac).all():
            valid[index] = False
            continue
        distances = Lattice(crystals.cell[index]).get_all_distances(frac, frac)
        distances[np.diag_indices_from(distances)] = np.inf
        valid[index] = distances.min() >= min_distance
    return valid


@functools.lru_cache(maxsize=100_000)
def _formula_valid(counts: tuple[tuple[int, int], ...], oxidation_states: str) -> bool:
    from pymatgen.core import Composition
    from smact.screening import smact_validity

    if any(z > 103 for z, _ in counts):  # SMACT knows the elements up to Lr
        return False
    composition = Composition({SYMBOLS[z]: n for z, n in counts})
    return bool(
        smact_validity(
            composition,
            use_pauling_test=True,
            include_alloys=True,
            check_metallicity=False,
            mixed_valence=False,
            oxidation_states_set=oxidation_states,
        )
    )


def composition_validity(crystals: Crystals, oxidation_states: str = OXIDATION_STATES) -> np.ndarray:
    """Return which crystals have a valid composition, (B,) bool.

    Valid: one element only; or all elements metals; or there is a choice of one oxidation state an
    element that is neutral and in which every cation is less electronegative (Pauling) than every anion.

    :param oxidation_states: set of oxidation states of SMACT: ``smact14``, ``icsd16`` or ``icsd24``.
    """
    valid = np.zeros(len(crystals), dtype=bool)
    for index in range(len(crystals)):
        elements, amounts = np.unique(crystals.sites(index)[1], return_counts=True)
        if len(elements) == 0:
            continue
        amounts = amounts // np.gcd.reduce(amounts)
        formula = tuple(zip(elements.tolist(), amounts.tolist(), strict=True))
        valid[index] = _formula_valid(formula, oxidation_states)
    return valid


def conditions(oxidation_states: str = OXIDATION_STATES) -> dict[str, str | float | bool]:
    """Return what the validity figures depend on, to print beside them."""
    return {
        "min_distance": MIN_DISTANCE,
        "min_volume": MIN_VOLUME,
        "smact": importlib.metadata.version("smact"),
        "oxidation_states_set": oxidation_states,
        "use_pauling_test": True,
        "include_alloys": True,
        "check_metallicity": False,
        "mixed_valence": False,
    }
