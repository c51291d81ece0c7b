"""Which crystals are made of what was asked for: elements, a composition, or an anonymous formula."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from ..crystals.batch import Crystals
from ..crystals.contents import contents_of, reduced_amounts
from ..crystals.elements import NUMBER
from ..crystals.formulas import amounts_of, anonymous_amounts

Name = TypeVar("Name")


def of_elements(crystals: Crystals, elements: list[str]) -> np.ndarray:
    """Return which crystals consist of these elements only, (B,) bool."""
    foreign = ~np.isin(crystals.numbers, [NUMBER[symbol] for symbol in elements])
    return np.bincount(crystals.owner, foreign, minlength=len(crystals)) == 0


def of_composition(crystals: Crystals, formula: str) -> np.ndarray:
    """Return which crystals hold the elements of a formula in its ratio, (B,) bool."""
    asked = reduced_amounts({NUMBER[symbol]: int(amount) for symbol, amount in amounts_of(formula).items()})
    return np.array([contents == asked for contents in contents_of(crystals)], dtype=bool)


def of_anonymous_formula(crystals: Crystals, formula: str) -> np.ndarray:
    """Return which crystals hold any elements in the ratio of a formula like ABC3, (B,) bool."""
    asked = sorted(reduced_amounts(dict(enumerate(anonymous_amounts(formula)))).values())
    return np.array([sorted(contents.values()) == asked for contents in contents_of(crystals)], dtype=bool)


def as_asked(
    crystals: Crystals, elements: list[str] | None, composition: str | None, anonymous_formula: str | None
) -> np.ndarray:
    """Return which crystals are all that was asked for, (B,) bool; what is None asks for nothing."""
    result = np.ones(len(crystals), dtype=bool)
    if elements is not None:
        result &= of_elements(crystals, elements)
    if composition is not None:
        result &= of_composition(crystals, composition)
    if anonymous_formula is not None:
        result &= of_anonymous_formula(crystals, anonymous_formula)
    return result
