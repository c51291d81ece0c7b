"""How close what was generated is to what was asked for: a property to its target, a crystal to a wish."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import gcd
from typing import TypeVar

import numpy as np

from ..crystals import Crystals
from ..elements import SYMBOLS
from ..formulas import amounts_of, anonymous_amounts
from ..networks.conditions import crystal_system
from ..screening.symmetry import space_group
from ..settings import SampleSettings

Name = TypeVar("Name")


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


def wishes_fulfilled(crystals: Crystals, wishes: SampleSettings) -> dict[str, np.ndarray]:
    """Return for every wish that was made which crystals fulfil it, wish -> (B,) bool.

    ``elements``: no other element occurs. ``composition``: the same ratio of the same elements. ``anonymous_formula``:
    the same ratios, whatever the elements are. ``n_atoms``: as many sites in the cell as it was generated.
    ``crystal_system``: that of the space group found within 0.1 Å.

    :param wishes: the settings that the crystals were sampled with.
    """
    contents = [
        reduced_amounts({SYMBOLS[z]: n for z, n in Counter(crystals.sites(i)[1].tolist()).items()})
        for i in range(len(crystals))
    ]
    found: dict[str, list[bool]] = {}
    if wishes.elements is not None:
        found["elements"] = [set(amounts) <= set(wishes.elements) for amounts in contents]
    if wishes.composition is not None:
        asked = reduced_amounts({s: int(amount) for s, amount in amounts_of(wishes.composition).items()})
        found["composition"] = [amounts == asked for amounts in contents]
    if wishes.anonymous_formula is not None:
        ratio = sorted(reduced_amounts(dict(enumerate(anonymous_amounts(wishes.anonymous_formula)))).values())
        found["anonymous_formula"] = [sorted(amounts.values()) == ratio for amounts in contents]
    if wishes.n_atoms is not None:
        found["n_atoms"] = [int(count) == wishes.n_atoms for count in crystals.counts]
    if wishes.crystal_system is not None:
        systems = [crystal_system(space_group(crystals, index)[1]) for index in range(len(crystals))]
        found["crystal_system"] = [system == wishes.crystal_system for system in systems]
    return {name: np.array(values, dtype=bool) for name, values in found.items()}


def reduced_amounts(amounts: Mapping[Name, int]) -> dict[Name, int]:
    """Return the amounts without their common factor."""
    unit = gcd(*amounts.values())
    return {name: amount // unit for name, amount in amounts.items()}
