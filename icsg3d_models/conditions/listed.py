"""The list of all conditions. Settings, options, priors, screening, evaluation and reports loop over it."""

from __future__ import annotations

from typing import Any

from .condition import Condition, Encoding
from .crystal_system import CrystalSystem
from .mass_density import Density
from .space_group import SpaceGroup
from .stoichiometry import AnonymousFormula, Composition, Elements, NumberOfAtoms
from .target import PREFIX, Target

# The order is that of settings and of help texts. A model file names its own, so that this list may grow.
CONDITIONS: tuple[Condition[Any], ...] = (
    Elements(),
    Composition(),
    AnonymousFormula(),
    NumberOfAtoms(),
    CrystalSystem(),
    SpaceGroup(),
    Density(),
)
BY_NAME: dict[str, Condition[Any]] = {condition.name: condition for condition in CONDITIONS}
OF_SPACE = tuple(condition.name for condition in CONDITIONS if condition.of_space)


def encoding_of(name: str) -> Encoding[Any]:
    """Return the condition of a name, or the target for a property.

    :raises ValueError: neither.
    """
    if name in BY_NAME:
        return BY_NAME[name]
    if name.startswith(PREFIX):
        return Target(name.removeprefix(PREFIX))
    raise ValueError(f"{name}: no condition; there are {', '.join(BY_NAME)} and `{PREFIX}PROPERTY`")
