"""How close what was generated is to what was asked for: a property to its target, a crystal to a wish."""

from __future__ import annotations

import numpy as np

from ..conditions.fulfilled import of_anonymous_formula, of_composition, of_elements
from ..conditions.vector import crystal_system
from ..crystals.batch import Crystals
from ..crystals.symmetry import space_group
from ..settings.wishes import WishSettings


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


def wishes_fulfilled(crystals: Crystals, wishes: WishSettings) -> dict[str, np.ndarray]:
    """Return for every wish that was made which crystals fulfil it, wish -> (B,) bool.

    ``elements``: no other element occurs. ``composition``: the same ratio of the same elements. ``anonymous_formula``:
    the same ratios, whatever the elements are. ``n_atoms``: as many sites in the cell as it was generated.
    ``crystal_system``: that of the space group found within 0.1 Å.

    :param wishes: what the crystals were sampled with.
    """
    found: dict[str, np.ndarray] = {}
    if wishes.elements is not None:
        found["elements"] = of_elements(crystals, wishes.elements)
    if wishes.composition is not None:
        found["composition"] = of_composition(crystals, wishes.composition)
    if wishes.anonymous_formula is not None:
        found["anonymous_formula"] = of_anonymous_formula(crystals, wishes.anonymous_formula)
    if wishes.n_atoms is not None:
        found["n_atoms"] = crystals.counts == wishes.n_atoms
    if wishes.crystal_system is not None:
        systems = [crystal_system(space_group(crystals, index)[1]) for index in range(len(crystals))]
        found["crystal_system"] = np.array([system == wishes.crystal_system for system in systems], dtype=bool)
    return found
