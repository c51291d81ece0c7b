"""Aiming at a value of a property that comes with the training crystals, such as a formation energy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..crystals.batch import Crystals
from .condition import Encoding, Known

PREFIX = "target "


def target_name(name: str) -> str:
    """Return the name under which a property is asked for."""
    return PREFIX + name


class Target(Encoding[float]):
    """A property, in its unit; in numbers, in standard deviations of the training crystals."""

    def __init__(self, of: str) -> None:
        self.of, self.name, self.label = of, target_name(of), of.replace("_", " ")

    def read(self, given: Any) -> float:
        return float(given)

    def describe(self, crystals: Crystals, properties: Mapping[str, np.ndarray]) -> list[float | None]:
        return [float(value) if math.isfinite(value) else None for value in properties[self.of]]

    def width(self, known: Known) -> int:
        return 1

    def encode(self, values: Sequence[float], known: Known) -> np.ndarray:
        mean, std = known.scales[self.of]
        return np.array([[(value - mean) / std] for value in values])

    def words(self, value: float) -> str:
        return f"{value:g}"
