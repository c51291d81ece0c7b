"""Crystal structure prediction: how often one of k samples of a composition is the crystal that is known.

Definition: Jiao et al., DiffCSP, arXiv:2309.04475, section 5.1: the match rate is the share of the known crystals that
one of k samples matches by StructureMatcher(stol 0.5, angle_tol 10, ltol 0.3); the RMSE is the mean, over those, of the
smallest RMS displacement, in (V/N)^(1/3). A sample that is no crystal matches nothing.

Where a composition has several known crystals, that counts a sample of one as wrong for the others. METRe ("match
everyone to reference") and cRMSE, Martirossyan et al., arXiv:2509.12178, as read here: one sample for each known
crystal; a known crystal is found where any sample of its composition matches it, by the smallest displacement; and
cRMSE takes stol, the largest displacement that the matcher allows, for those that are not found.
"""

from __future__ import annotations

import math
import warnings

import numpy as np

from ...crystals.batch import Crystals
from .reconstruction import STOL, match_distance


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


def everyone_to_reference(samples: Crystals, true: Crystals) -> tuple[float, float]:
    """Return METRe and cRMSE of samples, one for each true crystal of its composition.

    :param samples: those that became crystals, in any order.
    """
    by_formula: dict[str, list[int]] = {}
    for row, formula in enumerate(samples.formulas()):
        by_formula.setdefault(formula, []).append(row)
    best = np.full(len(true), np.nan)
    for index, formula in enumerate(true.formulas()):
        rows = by_formula.get(formula, [])
        found = distances_of(samples.take(rows), list(range(len(rows))), len(rows), true, index)
        if np.isfinite(found).any():
            best[index] = np.nanmin(found)
    matched = np.isfinite(best)
    return float(matched.mean()), float(np.where(matched, best, STOL).mean())
