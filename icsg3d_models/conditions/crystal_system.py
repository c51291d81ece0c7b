"""Conditions on the symmetry of a crystal: its crystal system, and its space group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from ..crystals.batch import Crystals
from .condition import Condition, Known

CRYSTAL_SYSTEMS = ("triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic")
STARTS = (1, 3, 16, 75, 143, 168, 195)  # first space group of each crystal system


def crystal_system(space_group: int) -> str | None:
    """Return the crystal system of a space group, None for 0, which is none."""
    return CRYSTAL_SYSTEMS[sum(space_group >= first for first in STARTS) - 1] if space_group else None


class CrystalSystem(Condition[str]):
    """One of :data:`CRYSTAL_SYSTEMS`, that of the space group found within 0.1 Å."""

    name = "crystal_system"
    type = Literal["triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic"]
    help = "Of the space group found within 0.1 Å."
    metavar = "SYSTEM"
    choices = CRYSTAL_SYSTEMS
    label = "crystal system"

    def read(self, given: Any) -> str:
        return str(given)

    def describe(self, crystals: Crystals, properties: Mapping[str, np.ndarray]) -> list[str | None]:
        from ..crystals.symmetry import space_group_numbers

        return [crystal_system(number) for number in space_group_numbers(crystals).tolist()]

    def width(self, known: Known) -> int:
        return len(CRYSTAL_SYSTEMS)

    def encode(self, values: Sequence[str], known: Known) -> np.ndarray:
        return np.array([[float(value == name) for name in CRYSTAL_SYSTEMS] for value in values])

    def fulfilled(self, crystals: Crystals, value: str) -> np.ndarray:
        return np.array([found == value for found in self.describe(crystals, {})], dtype=bool)

    def words(self, value: str) -> str:
        return value
