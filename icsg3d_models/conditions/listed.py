"""The list of all conditions. Settings, options, priors, screening, evaluation and reports loop over it."""

from __future__ import annotations

from typing import Any

from .condition import Condition
from .crystal_system import CrystalSystem
from .stoichiometry import AnonymousFormula, Composition, Elements, NumberOfAtoms

# The order is that of settings and of help texts. A model file names its own, so that this list may grow.
CONDITIONS: tuple[Condition[Any], ...] = (
    Elements(),
    Composition(),
    AnonymousFormula(),
    NumberOfAtoms(),
    CrystalSystem(),
)
BY_NAME: dict[str, Condition[Any]] = {condition.name: condition for condition in CONDITIONS}
