"""What a crystal is made of: amounts of its elements without a common factor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import gcd
from typing import TypeVar

from .batch import Crystals

Name = TypeVar("Name")


def contents_of(crystals: Crystals) -> list[dict[int, int]]:
    """Return atomic number -> amount of every crystal, without a common factor."""
    return [reduced_amounts(Counter(crystals.sites(index)[1].tolist())) for index in range(len(crystals))]


def reduced_amounts(amounts: Mapping[Name, int]) -> dict[Name, int]:
    """Return the amounts without their common factor."""
    unit = gcd(*amounts.values()) or 1
    return {name: amount // unit for name, amount in amounts.items()}
