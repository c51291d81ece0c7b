"""Reconstruction: which crystals come back as what they were, and how close.

Definition: Xie et al., CDVAE, arXiv:2110.06197, section 5.1 and its published code.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ...crystals.batch import Crystals
from ...workers import Progress, parallel_map

STOL, ANGLE_TOL, LTOL = 0.5, 10.0, 0.3
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]


@functools.cache
def _matcher() -> Any:
    from pymatgen.analysis.structure_matcher import StructureMatcher

    return StructureMatcher(stol=STOL, angle_tol=ANGLE_TOL, ltol=LTOL)


def match_distance(pair: tuple[Arrays, Arrays]) -> float:
    """Return the RMS displacement between a prediction and the truth, or NaN where they do not match.

    pymatgen's StructureMatcher with stol 0.5, angle_tol 10°, ltol 0.3, on primitive cells scaled to
    the same volume; the displacement is in units of (V/N)^(1/3), V the volume and N the number of sites.
    An error of the matcher is no match, as published.

    :param pair: prediction and truth, each as cell (3, 3), frac (n, 3), numbers (n,).
    """
    from pymatgen.core import Lattice, Structure

    try:
        predicted, true = (Structure(Lattice(cell), numbers.tolist(), frac) for cell, frac, numbers in pair)
        found = _matcher().get_rms_dist(predicted, true)
    except (ValueError, ArithmeticError, IndexError, np.linalg.LinAlgError):
        return np.nan
    return np.nan if found is None else float(found[0])


def match_distances(
    predicted: Crystals, true: Crystals, workers: int = 1, progress: Progress | None = None
) -> np.ndarray:
    """Return :func:`match_distance` of every true crystal, (B,), NaN where there is no match.

    :param predicted: crystals with the ids of the true ones; a missing id is no match.
    """
    index = {name: i for i, name in enumerate(predicted.ids)}
    pairs = [
        ((predicted.cell[index[name]], *predicted.sites(index[name])), (true.cell[i], *true.sites(i)))
        for i, name in enumerate(true.ids)
        if name in index
    ]
    distances = np.full(len(true), np.nan)
    present = np.array([name in index for name in true.ids], dtype=bool)
    distances[present] = parallel_map(match_distance, pairs, workers, progress)
    return distances


def match_rate(distances: np.ndarray, valid: np.ndarray | None = None) -> float:
    """Return the share of all true crystals that are matched.

    :param distances: (B,) from :func:`match_distances`.
    :param valid: (B,) validity of the predictions: given, an invalid prediction is no match ("gated",
        as published by CDVAE and what followed it); None: not gated.
    """
    matched = np.isfinite(distances)
    return float(np.mean(matched if valid is None else matched & valid))


def match_rmse(distances: np.ndarray, valid: np.ndarray | None = None) -> float:
    """Return the mean of the RMS displacements over the matches, in (V/N)^(1/3); NaN where none match."""
    matched = np.isfinite(distances)
    chosen = distances[matched if valid is None else matched & valid]
    return float(np.mean(chosen)) if len(chosen) else np.nan
