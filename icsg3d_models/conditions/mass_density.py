"""Condition on the mass density."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from ..crystals.batch import Crystals
from ..crystals.contents import mass_densities
from .condition import Condition, Known

WITHIN = 0.05  # of what is asked for: what separates the volumes of two density functionals
MIDDLE, SPREAD = math.log(5.0), 0.5  # of the logarithm of densities of inorganic crystals, g/cm³; only a scale


class Density(Condition[float]):
    """Mass density in g/cm³, fulfilled within 5 %."""

    name = "density"
    type = Annotated[float, Field(gt=0, allow_inf_nan=False)]
    help = "Mass density in g/cm³, fulfilled within 5 %."
    metavar = "G_PER_CM3"
    label = "density (g/cm³)"

    def read(self, given: Any) -> float:
        return float(given)

    def describe(self, crystals: Crystals, properties: Mapping[str, np.ndarray]) -> list[float | None]:
        return [value if math.isfinite(value) and value > 0 else None for value in mass_densities(crystals).tolist()]

    def width(self, known: Known) -> int:
        return 1

    def encode(self, values: Sequence[float], known: Known) -> np.ndarray:
        return (np.log(values) - MIDDLE)[:, None] / SPREAD

    def fulfilled(self, crystals: Crystals, value: float) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return np.abs(mass_densities(crystals) - value) <= WITHIN * value

    def words(self, value: float) -> str:
        return f"{value:.4g}"
