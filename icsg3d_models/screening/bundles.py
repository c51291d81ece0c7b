"""Crystals in bundles that are compared apart from each other: only crystals of one formula can be the same."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

SIZE = 100  # crystals; large enough that their neighbours are found at once, small enough for many processes


def bundles(formulas: list[str], size: int = SIZE) -> list[np.ndarray]:
    """Return indices, in rising order within a formula, with all crystals of one formula in one bundle.

    :param size: crystals of a bundle, more where one formula has more.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for index, formula in enumerate(formulas):
        places[formula].append(index)
    found, current = [], list[int]()
    for indices in places.values():
        current += indices
        if len(current) >= size:
            found.append(np.array(current))
            current = []
    return [*found, np.array(current)] if current else found
