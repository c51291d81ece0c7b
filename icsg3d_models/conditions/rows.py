"""What every sample of a run is to be, where a prior makes crystals of many compositions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .asking import completed
from .patterns import Pattern, fitting
from .space import ConditionSpace


def rows_of(
    space: ConditionSpace,
    patterns: list[Pattern],
    asked: Mapping[str, Any],
    count: int,
    seed: int,
    say: Callable[[str], None],
) -> np.ndarray:
    """Return what each sample is to be, (count, C).

    Where elements are named and no composition is, every sample gets a composition of its own from these elements: a
    crystal is not asked to choose among them, which it learns far worse than to follow a composition. A sample for
    which none can be drawn goes without, and the prior is left to find one.

    :param patterns: of the training crystals.
    :param asked: as in settings.
    :param say: called with how many samples went without, if any did.
    """
    whole = completed(asked)
    rows = np.tile(space.vector(whole), (count, 1))
    if "elements" not in whole or "composition" in whole or "composition" not in space.blocks:
        return rows
    fit = fitting(patterns, whole["elements"], whole.get("anonymous_formula"))
    if fit is None:
        say("no composition of the kinds that the training crystals have can be made of what is asked for: none is set")
        return rows
    without = 0
    for sample in range(count):
        drawn = fit.draw(np.random.default_rng((seed, sample)))
        if drawn is None:
            without += 1
            continue
        own = {"composition": drawn, "elements": tuple(drawn), "anonymous_formula": tuple(drawn.values())}
        rows[sample] = space.vector(whole | own)
    if without:
        say(f"{without} of {count} samples were given no composition: none of those drawn passes the test of validity")
    return rows
