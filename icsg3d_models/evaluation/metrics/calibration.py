"""Whether predicted uncertainties are as large as the errors.

After Kuleshov et al., ICML 2018, arXiv:1807.00263 (shares within intervals), and Levi et al., Sensors 22, 5540 (2022),
10.3390/s22155540 (errors against uncertainties in bins).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np


@dataclass(frozen=True)
class Bins:
    """Crystals in order of their predicted uncertainty, in bins of equal numbers.

    :param count: (K,) crystals of each bin.
    :param predicted: (K,) root mean square of the predicted standard deviations.
    :param observed: (K,) root mean square of the errors.
    """

    count: np.ndarray
    predicted: np.ndarray
    observed: np.ndarray

    @property
    def expected_error(self) -> float:
        """Expected normalised calibration error: mean of |observed - predicted| / predicted over the bins."""
        return float((np.abs(self.observed - self.predicted) / self.predicted).mean())


def uncertainty_bins(error: np.ndarray, sigma: np.ndarray, bins: int) -> Bins:
    """Return errors against uncertainties in bins of equal numbers; calibrated ones agree in every bin.

    :param error: (B,) predicted minus true.
    :param sigma: (B,) predicted standard deviations, positive, in the same unit.
    :raises ValueError: fewer crystals than bins.
    """
    if len(error) < bins:
        raise ValueError(f"{len(error)} crystals in {bins} bins; take fewer bins or more crystals")
    groups = np.array_split(np.argsort(sigma, kind="stable"), bins)
    return Bins(
        np.array([len(group) for group in groups]),
        np.array([math.sqrt((sigma[group] ** 2).mean()) for group in groups]),
        np.array([math.sqrt((error[group] ** 2).mean()) for group in groups]),
    )


def share_within(error: np.ndarray, sigma: np.ndarray, factor: float) -> float:
    """Return the share of errors smaller than ``factor`` standard deviations."""
    return float((np.abs(error) < factor * sigma).mean())


def normal_share(factor: float) -> float:
    """Return the share of normally distributed errors within ``factor`` standard deviations."""
    return math.erf(factor / math.sqrt(2))


def confidence_curve(error: np.ndarray, sigma: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return, for each confidence level in (0, 1), the share of errors within the normal interval of that level."""
    factors = [NormalDist().inv_cdf(0.5 + level / 2) for level in levels]
    return np.array([share_within(error, sigma, factor) for factor in factors])
