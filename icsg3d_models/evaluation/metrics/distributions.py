"""How the statistics of generated crystals differ from those of a reference set.

Definition: Xie et al., CDVAE, arXiv:2110.06197, section 5.2: the first Wasserstein (earth mover's)
distance of densities, of a predicted property and of the number of elements, on up to 1,000 valid samples
drawn at random, against the whole test set.
"""

from __future__ import annotations

import numpy as np

from ...crystals.batch import Crystals

PROPERTY_SAMPLES = 1000


def element_counts(crystals: Crystals) -> np.ndarray:
    """Return the number of different elements of each crystal, (B,)."""
    return np.array([len(np.unique(crystals.sites(i)[1])) for i in range(len(crystals))], dtype=np.int64)


def wasserstein(values: np.ndarray, reference: np.ndarray) -> float:
    """Return the first Wasserstein distance of two samples, in the unit of the values: ∫ |F - G|.

    :param values: (G,) finite values; none: NaN.
    :param reference: (R,).
    """
    from scipy.stats import wasserstein_distance

    if len(values) == 0 or len(reference) == 0:
        return np.nan
    return float(wasserstein_distance(values, reference))


def draw(valid: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Return the indices of ``size`` valid samples drawn without replacement, or of all if there are fewer.

    :param valid: (B,) bool.
    """
    indices = np.flatnonzero(valid)
    if len(indices) <= size:
        return indices
    return np.sort(np.random.default_rng(seed).choice(indices, size, replace=False))
