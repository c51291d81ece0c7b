"""What is asked for as a whole: what it implies, whether it can be meant, and which crystals fulfil it.

``asked`` is name of a condition -> value as in settings; what is None is not asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from ..crystals.batch import Crystals
from .listed import BY_NAME, OF_SPACE, encoding_of


def readings(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return name -> value as crystals show it, of what is asked for.

    :raises ValueError: a name that is no condition.
    """
    return {name: encoding_of(name).read(value) for name, value in asked.items() if value is not None}


def completed(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the readings with all that they imply: a composition has its elements and its number of atoms."""
    found = readings(asked)
    for name in [name for name in found if name in BY_NAME]:
        found |= BY_NAME[name].implied(found[name], found)
    return found


def contradiction(asked: Mapping[str, Any]) -> str | None:
    """Return why all of it cannot be meant at once, None where it can."""
    found = readings(asked)
    problems = (BY_NAME[name].conflict(value, found) for name, value in found.items() if name in BY_NAME)
    return next((problem for problem in problems if problem is not None), None)


def fulfilled(crystals: Crystals, asked: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return for everything that is asked for which crystals are so, name -> (B,) bool.

    What is asked of a property is not in it: a crystal does not show it, a predictor does.
    """
    whole = completed(asked)
    return {name: BY_NAME[name].fulfilled(crystals, whole[name]) for name in readings(asked) if name in BY_NAME}


def unfulfilled(crystals: Crystals, asked: Mapping[str, Any]) -> list[str | None]:
    """Return for every crystal what of it is not as asked, in words, None where all is; broken crystals too."""
    whole = completed(asked)
    words: list[list[str]] = [[] for _ in range(len(crystals))]
    for name, right in fulfilled(crystals, asked).items():
        condition, wrong = BY_NAME[name], np.flatnonzero(~right)
        for index, shown in zip(wrong, condition.describe(crystals.take(wrong), {}), strict=True):
            found = "none" if shown is None else condition.words(shown)
            words[index].append(f"{name} {condition.words(whole[name])}, found {found}")
    return [f"not as asked: {'; '.join(each)}" if each else None for each in words]


def in_words(asked: Mapping[str, Any]) -> dict[str, str]:
    """Return label -> value as people write them."""
    return {encoding_of(name).label: encoding_of(name).words(value) for name, value in readings(asked).items()}


def not_taken(asked: Mapping[str, Any], names: Collection[str]) -> list[str]:
    """Return what a generator cannot be asked for that takes the conditions of these names.

    The chemical space can always be asked for: what is made of a field keeps to it.
    """
    return [name for name, value in asked.items() if value is not None and name not in {*names, *OF_SPACE}]
