"""Crystals on a plane: the two directions in which the fingerprints of a training set differ most (PCA).

What a fingerprint has of a crystal becomes numbers of a fixed length: how its distances between sites are spread, and
the mean code of its elements. Both know nothing of cell, origin and scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..crystals.elements import NUMBER, code_table
from ..crystals.formulas import whole_amounts
from .fingerprint import Fingerprint

BINS = 16
"""Of the distances, over the whole reach of a fingerprint."""


@dataclass(frozen=True)
class Plane:
    """A plane through the middle of a training set.

    :param mean, scale: (D,) of the descriptions of the training set; ``scale`` is 1 where all are alike.
    :param axes: (2, D) directions, the first of the larger variance.
    :param shares: (2,) of the variance that lies along them.
    """

    mean: np.ndarray
    scale: np.ndarray
    axes: np.ndarray
    shares: np.ndarray

    def places(self, some: Fingerprint) -> np.ndarray:
        """Return where crystals lie, (B, 2)."""
        return np.asarray(((described(some) - self.mean) / self.scale) @ self.axes.T)


def described(some: Fingerprint) -> np.ndarray:
    """Return the descriptions of crystals, (B, D): shares of the distances in each bin, and the mean code."""
    codes = np.array(code_table())
    spread, chemistry = np.zeros((len(some), BINS)), np.zeros((len(some), codes.shape[1]))
    for row, (formula, values) in enumerate(zip(some.formulas, some.lists, strict=True)):
        spread[row] = np.bincount(values.astype(np.int64) * BINS // 256, minlength=BINS) / max(len(values), 1)
        amounts = whole_amounts(formula)
        total = sum(amounts.values())
        for symbol, amount in amounts.items():
            chemistry[row] += codes[NUMBER[symbol]] * (amount / total)
    return np.concatenate([spread, chemistry], axis=1)


def principal_plane(training: Fingerprint) -> Plane:
    """Return the plane of a training set.

    :raises ValueError: fewer than three crystals, through which there is more than one plane.
    """
    if len(training) < 3:
        raise ValueError(f"{len(training)} crystals decide no plane; three are needed")
    values = described(training)
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    scale = np.where(deviation > 1e-9, deviation, 1.0)
    _, lengths, axes = np.linalg.svd((values - mean) / scale, full_matrices=False)
    axes = axes[:2] * np.sign(axes[:2, np.abs(axes[:2]).argmax(axis=1)].diagonal())[:, None]  # not a matter of chance
    variance = lengths**2
    return Plane(mean, scale, axes, variance[:2] / max(float(variance.sum()), 1e-12))
