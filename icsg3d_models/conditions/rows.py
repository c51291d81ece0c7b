"""What every sample of a run is to be, where a prior makes crystals of many compositions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .analogy import Examples
from .asking import completed
from .crystal_system import crystal_system
from .patterns import Pattern, fitting
from .space import ConditionSpace

EXCHANGED = 0.5  # probability that an element of an example which may stay is put up for exchange


def rows_of(
    space: ConditionSpace,
    patterns: list[Pattern],
    asked: Mapping[str, Any],
    count: int,
    seed: int,
    say: Callable[[str], None],
    examples: Examples | None = None,
) -> np.ndarray:
    """Return what each sample is to be, (count, C), see :func:`rows_and_contents`."""
    return rows_and_contents(space, patterns, asked, count, seed, say, examples)[0]


def rows_and_contents(
    space: ConditionSpace,
    patterns: list[Pattern],
    asked: Mapping[str, Any],
    count: int,
    seed: int,
    say: Callable[[str], None],
    examples: Examples | None = None,
) -> tuple[np.ndarray, list[dict[int, int]]]:
    """Return what each sample is to be, (count, C), and atomic number -> atoms in its cell, empty where open.

    Where no composition is asked for, every sample gets one of its own of what is asked: a crystal is not asked to
    choose among them, which it learns far worse than to follow a composition. A sample for which none can be drawn goes
    without, and the prior is left to find one.

    :param patterns: of the training crystals, for priors without examples, which then want elements to be named.
    :param asked: as in settings.
    :param say: called with how many samples went without, if any did.
    :param examples: of the training crystals; with them the contents of a cell and its space group are drawn too.
    """
    whole = completed(asked)
    rows, nothing = np.tile(space.vector(whole), (count, 1)), [dict[int, int]()] * count
    if "composition" in whole:
        return rows, [dict(whole["composition"])] * count
    if "composition" not in space.blocks:
        return rows, nothing
    if examples is not None and len(examples):
        return _by_analogy(space, examples, whole, rows, seed, say)
    if "elements" not in whole:
        return rows, nothing
    fit = fitting(patterns, whole["elements"], whole.get("anonymous_formula"))
    if fit is None:
        say(NONE_FITS)
        return rows, nothing
    without = 0
    for sample in range(count):
        drawn = fit.draw(np.random.default_rng((seed, sample)))
        if drawn is None:
            without += 1
            continue
        own = {"composition": drawn, "elements": tuple(drawn), "anonymous_formula": tuple(drawn.values())}
        rows[sample] = space.vector(whole | own)
    _tell(without, count, say)
    return rows, nothing


NONE_FITS = "no composition of the kinds that the training crystals have can be made of what is asked for: none is set"


def _by_analogy(
    space: ConditionSpace,
    examples: Examples,
    whole: dict[str, Any],
    rows: np.ndarray,
    seed: int,
    say: Callable[[str], None],
) -> tuple[np.ndarray, list[dict[int, int]]]:
    """Return the rows with what is drawn by analogy to examples, and the contents drawn."""
    every: list[dict[int, int]] = []
    allowed = whole.get("elements")
    fitting_ones = examples
    if (kept := _of_symmetry(examples, whole)) is not None:
        fitting_ones = kept
    weights = fitting_ones.weights(allowed, whole.get("anonymous_formula"), whole.get("n_atoms"))
    if weights.sum() == 0:
        say(NONE_FITS)
        return rows, [{}] * len(rows)
    without = 0
    for sample in range(len(rows)):
        rng = np.random.default_rng((seed, sample))
        drawn = fitting_ones.draw(weights, space.known.elements if allowed is None else allowed, EXCHANGED, rng)
        every.append({} if drawn is None else drawn[0])
        if drawn is None:
            without += 1
            continue
        contents, group = drawn
        own: dict[str, Any] = {
            "composition": contents,
            "elements": tuple(sorted(contents)),
            "anonymous_formula": tuple(contents.values()),
            "n_atoms": sum(contents.values()),
        }
        if group:
            own |= {"space_group": group, "crystal_system": crystal_system(group)}
        rows[sample] = space.vector(own | whole | {name: own[name] for name in ("elements", "composition")})
    _tell(without, len(rows), say)
    return rows, every


def _of_symmetry(examples: Examples, whole: Mapping[str, Any]) -> Examples | None:
    """Return the examples of the space group or the crystal system that is asked for; None where all fit, or none."""
    if "space_group" in whole:
        fits = examples.groups == whole["space_group"]
    elif "crystal_system" in whole:
        fits = np.array(
            [bool(group) and crystal_system(int(group)) == whole["crystal_system"] for group in examples.groups]
        )
    else:
        return None
    return examples.take(np.flatnonzero(fits)) if fits.any() else None


def _tell(without: int, count: int, say: Callable[[str], None]) -> None:
    """Say how many samples were given no composition, if any."""
    if without:
        say(f"{without} of {count} samples were given no composition: none of those drawn passes the test of validity")
