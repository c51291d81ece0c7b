"""Condition on the number of the space group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from ..crystals.batch import Crystals
from .condition import Condition, Known
from .crystal_system import crystal_system

GROUPS = 230


class SpaceGroup(Condition[int]):
    """Number of the space group, 1 to 230, found within 0.1 Å."""

    name = "space_group"
    type = Annotated[int, Field(ge=1, le=GROUPS)]
    help = "Number of the space group, 1 to 230, found within 0.1 Å."
    metavar = "NUMBER"
    label = "space group"

    def read(self, given: Any) -> int:
        return int(given)

    def describe(self, crystals: Crystals, properties: Mapping[str, np.ndarray]) -> list[int | None]:
        from ..crystals.symmetry import space_group_numbers

        return [number or None for number in space_group_numbers(crystals).tolist()]

    def width(self, known: Known) -> int:
        return GROUPS

    def encode(self, values: Sequence[int], known: Known) -> np.ndarray:
        return np.eye(GROUPS)[np.array(values, dtype=np.int64) - 1]

    def fulfilled(self, crystals: Crystals, value: int) -> np.ndarray:
        return np.array([found == value for found in self.describe(crystals, {})], dtype=bool)

    def words(self, value: int) -> str:
        return str(value)

    def implied(self, value: int, asked: Mapping[str, Any]) -> dict[str, Any]:
        return {"crystal_system": crystal_system(value)}

    def conflict(self, value: int, asked: Mapping[str, Any]) -> str | None:
        system = asked.get("crystal_system")
        if system is not None and system != crystal_system(value):
            return (
                f"`space_group` {value} is {crystal_system(value)}, `crystal_system` is {system}; give one of the two"
            )
        return None
