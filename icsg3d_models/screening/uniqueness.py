"""Which crystals of a batch are the same as an earlier one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from ..comparison.descriptors import describe
from ..comparison.matching import Matcher
from ..crystals.batch import Crystals
from ..workers import Workers
from .bundles import bundles


def find_duplicates(
    crystals: Crystals,
    formulas: list[str],
    workers: Workers | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> list[int | None]:
    """Return for every crystal the first one in the batch that is the same, None for the first of its kind.

    :param crystals: with valid structures.
    :param formulas: reduced formula of each crystal; only equal ones are compared.
    :param progress: called with the number of crystals done.
    """
    parts = bundles(formulas)
    items = [(crystals.take(part), [formulas[i] for i in part]) for part in parts]
    duplicate_of: list[int | None] = [None] * len(formulas)
    found = (workers or Workers()).map(
        _within, items, lambda done, total: progress(done * len(formulas) // total), chunk=1
    )
    for part, same in zip(parts, found, strict=True):
        for index, other in zip(part.tolist(), same, strict=True):
            duplicate_of[index] = None if other is None else int(part[other])
    return duplicate_of


def _within(bundle: tuple[Crystals, list[str]]) -> list[int | None]:
    """Return the same for one bundle."""
    crystals, formulas = bundle
    matcher = Matcher(crystals, describe(crystals))
    kinds: dict[str, list[int]] = defaultdict(list)
    duplicate_of: list[int | None] = []
    for index, formula in enumerate(formulas):
        found = matcher.first_match(index, matcher, kinds[formula])
        if found is None:
            kinds[formula].append(index)
        duplicate_of.append(found)
    return duplicate_of
