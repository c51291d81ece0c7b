"""What a crystal is made of: amounts of its elements without a common factor, and how heavy it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import gcd
from typing import TypeVar

import numpy as np

from .batch import Crystals
from .elements import SYMBOLS

GRAM_PER_CM3 = 1.66053906892  # of 1 u/Å³, CODATA 2022
Name = TypeVar("Name")


def contents_of(crystals: Crystals) -> list[dict[int, int]]:
    """Return atomic number -> amount of every crystal, without a common factor."""
    return [reduced_amounts(Counter(crystals.sites(index)[1].tolist())) for index in range(len(crystals))]


def reduced_amounts(amounts: Mapping[Name, int]) -> dict[Name, int]:
    """Return the amounts without their common factor."""
    unit = gcd(*amounts.values()) or 1
    return {name: amount // unit for name, amount in amounts.items()}


def mass_densities(crystals: Crystals) -> np.ndarray:
    """Return the mass densities, (B,) in g/cm³; not finite for a cell without volume, NaN with what is no element."""
    from pymatgen.core import Element

    masses = {int(z): float(Element(SYMBOLS[z]).atomic_mass) for z in np.unique(crystals.numbers) if z > 0}
    site_masses = np.array([masses.get(int(z), np.nan) for z in crystals.numbers])
    totals = np.bincount(crystals.owner, weights=site_masses, minlength=len(crystals))
    with np.errstate(invalid="ignore", divide="ignore"):
        return totals / crystals.volumes * GRAM_PER_CM3
