"""Crystal structure prediction: how often one of k samples of a composition is the crystal that is known.

Definition: Jiao et al., DiffCSP, arXiv:2309.04475, section 5.1: the match rate is the share of the known crystals that
one of k samples matches by StructureMatcher(stol 0.5, angle_tol 10, ltol 0.3); the RMSE is the mean, over those, of the
smallest RMS displacement, in (V/N)^(1/3). A sample that is no crystal matches nothing.
"""

from __future__ import annotations

import math
import warnings

import numpy as np

from ...crystals.batch import Crystals
from .reconstruction import match_distance


def distances_of(samples: Crystals, places: list[int], count: int, true: Crystals, index: int) -> np.ndarray:
    """Return the distance of each of ``count`` samples from one true crystal, (count,), NaN where there is no match.

    :param samples: those that became crystals; ``places``: which of the samples they are.
    """
    found = np.full(count, np.nan)
    known = (true.cell[index], *true.sites(index))
    for row, place in enumerate(places):
        found[place] = match_distance(((samples.cell[row], *samples.sites(row)), known))
    return found


def match_rate_of(distances: np.ndarray, k: int) -> tuple[float, float]:
    """Return match rate and RMSE of the first k samples of each crystal; the RMSE is NaN where none match.

    :param distances: (B, K) by :func:`distances_of`, K at least k.
    :raises ValueError: there are fewer samples.
    """
    if not 1 <= k <= distances.shape[1]:
        raise ValueError(f"match rate with {k} samples, of which there are {distances.shape[1]}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # crystals that nothing matches
        best = np.nanmin(distances[:, :k], axis=1)
    matched = np.isfinite(best)
    return float(matched.mean()), float(best[matched].mean()) if matched.any() else math.nan
