"""How close a property of what was generated is to its target."""

from __future__ import annotations

import numpy as np


def target_deviation(values: np.ndarray, target: float | np.ndarray) -> float:
    """Return the mean absolute deviation of a property from its target, in the unit of the property.

    The property must come from a predictor that the generator has not seen; beside the figure belongs
    that of samples drawn without a target.

    :param values: (B,) predictions; NaN raises, since dropping it would flatter the figure.
    :param target: one value, or (B,) one for each sample.
    :raises ValueError: a value is not finite.
    """
    if not np.isfinite(values).all():
        raise ValueError(f"{int((~np.isfinite(values)).sum())} of {len(values)} predictions are not finite")
    return float(np.mean(np.abs(values - target))) if len(values) else np.nan
