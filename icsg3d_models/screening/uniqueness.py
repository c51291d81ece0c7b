"""Which crystals of a batch are the same as an earlier one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from ..comparison.matching import Matcher


def find_duplicates(
    matcher: Matcher, formulas: list[str], progress: Callable[[int], None] = lambda done: None
) -> list[int | None]:
    """Return for every crystal the first one in the batch that is the same, None for the first of its kind.

    :param formulas: reduced formula of each crystal; only equal ones are compared.
    :param progress: called with the number of crystals done.
    """
    kinds: dict[str, list[int]] = defaultdict(list)
    duplicate_of: list[int | None] = []
    for index, formula in enumerate(formulas):
        found = matcher.first_match(index, matcher, kinds[formula])
        if found is None:
            kinds[formula].append(index)
        duplicate_of.append(found)
        if (index + 1) % 200 == 0:
            progress(index + 1)
    return duplicate_of
