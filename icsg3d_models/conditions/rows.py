"""What every sample of a run is to be, where a prior makes crystals of many compositions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .analogy import Examples
from .asking import completed
from .crystal_system import crystal_system
from .patterns import Pattern, fitting
from .space import ConditionSpace
from .stoichiometry import MOST_KINDS

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
    """Return what each sample is to be, (count, C), see :func:`wanted_of`."""
    return wanted_of(space, patterns, asked, count, seed, say, examples).rows


@dataclass(frozen=True)
class Wanted:
    """What each of ``count`` samples is to be.

    :param rows: (count, C) what the prior is told.
    :param contents: atomic number -> atoms in its cell, empty where open.
    :param operations: of its space group, as in :class:`.analogy.Drawn`.
    """

    rows: np.ndarray
    contents: list[dict[int, int]]
    operations: list[tuple[np.ndarray, np.ndarray] | None]

    @classmethod
    def open(cls, rows: np.ndarray, contents: dict[int, int] | None = None) -> Wanted:
        """Return what is to be of any symmetry, all with the same contents where these are given."""
        return cls(rows, [dict(contents or {}) for _ in rows], [None] * len(rows))


def wanted_of(
    space: ConditionSpace,
    patterns: list[Pattern],
    asked: Mapping[str, Any],
    count: int,
    seed: int,
    say: Callable[[str], None],
    examples: Examples | None = None,
) -> Wanted:
    """Return what each sample is to be.

    Where no composition is asked for, every sample gets one of its own of what is asked: a crystal is not asked to
    choose among them, which it learns far worse than to follow a composition. A sample for which none can be drawn goes
    without, and the prior is left to find one.

    :param patterns: of the training crystals, for priors without examples, which then want elements to be named.
    :param asked: as in settings.
    :param say: called with how many samples went without, if any did.
    :param examples: of the training crystals; with them the contents of a cell and its space group are drawn too.
    """
    whole = completed(asked)
    rows = np.tile(space.vector(whole), (count, 1))
    if "composition" in whole:
        contents = dict(whole["composition"])
        if examples is None or not len(examples):
            return Wanted.open(rows, contents)
        return _like_examples(space, examples, whole, rows, contents, seed)
    if "composition" not in space.blocks:
        return Wanted.open(rows)
    if examples is not None and len(examples):
        return _by_analogy(space, examples, whole, rows, seed, say)
    if "elements" not in whole:
        return Wanted.open(rows)
    fit = fitting(patterns, whole["elements"], whole.get("anonymous_formula"))
    if fit is None:
        say(NONE_FITS)
        return Wanted.open(rows)
    without = 0
    for sample in range(count):
        drawn = fit.draw(np.random.default_rng((seed, sample)))
        if drawn is None:
            without += 1
            continue
        own = {"composition": drawn, "elements": tuple(drawn), "anonymous_formula": tuple(drawn.values())}
        rows[sample] = space.vector(whole | own)
    _tell(without, count, say)
    return Wanted.open(rows)


NONE_FITS = "no composition of the kinds that the training crystals have can be made of what is asked for: none is set"


def _like_examples(
    space: ConditionSpace,
    examples: Examples,
    whole: dict[str, Any],
    rows: np.ndarray,
    contents: dict[int, int],
    seed: int,
) -> Wanted:
    """Return a composition that is asked for, each time like an example of the same amounts, where there is one.

    The first sample is like the likeliest, the others are drawn.
    """
    likenesses = _of_symmetry(examples, whole).likenesses(contents)
    wanted = Wanted.open(rows, contents)
    for sample in range(len(rows)):
        drawn = likenesses.draw(contents, np.random.default_rng((seed, sample)) if sample else None)
        if drawn is None or drawn.operations is None:
            continue
        rows[sample] = space.vector(of_group(drawn.group) | whole)
        wanted.operations[sample] = drawn.operations
    return wanted


def of_group(group: int) -> dict[str, Any]:
    """Return what a space group says, nothing where it is 0."""
    return {"space_group": group, "crystal_system": crystal_system(group)} if group else {}


def _by_analogy(
    space: ConditionSpace,
    examples: Examples,
    whole: dict[str, Any],
    rows: np.ndarray,
    seed: int,
    say: Callable[[str], None],
) -> Wanted:
    """Return what is drawn by analogy to examples."""
    allowed = whole.get("elements")
    fitting_ones = _of_symmetry(examples, whole)
    weights = fitting_ones.weights(allowed, whole.get("anonymous_formula"), whole.get("n_atoms"))
    wanted = Wanted.open(rows)
    if weights.sum() == 0:
        say(NONE_FITS)
        return wanted
    without = 0
    for sample in range(len(rows)):
        rng = np.random.default_rng((seed, sample))
        drawn = fitting_ones.draw(weights, space.known.elements if allowed is None else allowed, EXCHANGED, rng)
        if drawn is None:
            without += 1
            continue
        contents = drawn.contents
        own: dict[str, Any] = {
            "composition": contents,
            "elements": tuple(sorted(contents)),
            "anonymous_formula": tuple(contents.values()),
            "n_atoms": sum(contents.values()),
            **of_group(drawn.group),
        }
        rows[sample] = space.vector(own | whole | {name: own[name] for name in ("elements", "composition")})
        wanted.contents[sample], wanted.operations[sample] = contents, drawn.operations
    _tell(without, len(rows), say)
    return wanted


def _of_symmetry(examples: Examples, whole: Mapping[str, Any]) -> Examples:
    """Return the examples of the space group or the crystal system that is asked for.

    Where none is of it, all of them, without their operations: the prior is left to make what is asked.
    """
    if "space_group" in whole:
        fits = examples.groups == whole["space_group"]
    elif "crystal_system" in whole:
        fits = np.array(
            [bool(group) and crystal_system(int(group)) == whole["crystal_system"] for group in examples.groups]
        )
    else:
        return examples
    return examples.take(np.flatnonzero(fits)) if fits.any() else replace(examples, symmetry=None)


def _tell(without: int, count: int, say: Callable[[str], None]) -> None:
    """Say how many samples were given no composition, if any."""
    if without:
        say(f"{without} of {count} samples were given no composition: none of those drawn passes the test of validity")


def pairs_of(contents: list[dict[int, int]]) -> np.ndarray:
    """Return (B, K, 2) atomic numbers and amounts, zeros where there are fewer than K elements."""
    pairs = np.zeros((len(contents), max(MOST_KINDS, *map(len, contents)), 2), dtype=np.int16)
    for row, content in enumerate(contents):
        for place, pair in enumerate(sorted(content.items())):
            pairs[row, place] = pair
    return pairs
