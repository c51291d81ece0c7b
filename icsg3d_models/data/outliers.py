"""Values of a property that are very far from nearly all others."""

from __future__ import annotations

import numpy as np

FAR = 1e4  # times the spread of the others: in float32 these would hardly differ any more
TRIMMED = 0.01  # share of the values that may be far off without being what the spread is taken from
LARGEST = float(np.finfo(np.float32).max)


def far_off(values: np.ndarray) -> list[int]:
    """Return the indices of values that are infinite in float32, or very far from nearly all others.

    :param values: (B,), NaN where missing.
    """
    known = np.flatnonzero(~np.isnan(values))
    too_large = np.abs(values[known]) > LARGEST
    sound = values[known[~too_large]]
    far = set(known[too_large].tolist())
    if len(sound) > 2:
        apart = np.abs(sound - np.median(sound))
        kept = np.sort(apart)[: len(sound) - max(1, int(TRIMMED * len(sound)))]
        spread = float(np.sqrt(np.mean(kept**2)))
        if spread > 0:
            far |= set(known[~too_large][apart > FAR * spread].tolist())
    return sorted(far)
