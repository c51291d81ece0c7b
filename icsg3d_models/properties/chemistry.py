"""The chemistry that a property model was trained on: elements, kinds of formula, sizes of cells.

A model answers whatever it is asked. One trained on perovskites gives sodium metal +3 eV/atom, with a small
uncertainty, since all its members are equally far from what they know.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..comparison.fingerprint import Fingerprint
from ..crystals.batch import Crystals
from ..crystals.cells import primitive_sites
from ..crystals.contents import contents_of, reduced_amounts
from ..crystals.elements import NUMBER, SYMBOLS
from ..crystals.formulas import whole_amounts

Kind = tuple[int, ...]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Chemistry:
    """What a set of crystals is made of.

    :param elements: atomic numbers.
    :param kinds: reduced amounts of the elements of each crystal, falling: (3, 1, 1) for ABC3.
    :param least, most: atoms in the primitive cell.
    """

    elements: frozenset[int]
    kinds: frozenset[Kind]
    least: int
    most: int

    @property
    def words(self) -> str:
        """The sizes, short."""
        numbers = sorted({len(kind) for kind in self.kinds})
        return f"{between(numbers[0], numbers[-1])} elements, {between(self.least, self.most)} atoms"

    def problems(self, crystals: Crystals) -> list[str | None]:
        """Return for every crystal what of it the set has no example of, None where it has."""
        found: list[str | None] = []
        for index, contents in enumerate(contents_of(crystals)):
            foreign = [SYMBOLS[z] for z in sorted(contents) if z not in self.elements]
            kind = tuple(sorted(contents.values(), reverse=True))
            if not contents or foreign:
                words = f"{', '.join(foreign)} not in its training" if foreign else None
            elif kind not in self.kinds:
                words = f"no crystal of the kind {anonymous(kind)} in its training ({self.words})"
            else:
                words = self._size_problem(crystals, index)
            found.append(words)
        return found

    def _size_problem(self, crystals: Crystals, index: int) -> str | None:
        """Return what is wrong with the number of atoms; the primitive cell is looked for only where it matters."""
        sites = int(crystals.counts[index])
        if sites > self.most:
            sites = primitive_sites(crystals, index)
        if self.least <= sites <= self.most:
            return None
        return f"{sites} atoms in the primitive cell, in its training {between(self.least, self.most)}"

    def joined(self, other: Chemistry) -> Chemistry:
        """Return the chemistry of both sets of crystals."""
        return Chemistry(
            self.elements | other.elements,
            self.kinds | other.kinds,
            min(self.least, other.least),
            max(self.most, other.most),
        )

    def stored(self) -> dict[str, Any]:
        """Return the content for a model card."""
        return {
            "elements": sorted(self.elements),
            "kinds": [list(kind) for kind in sorted(self.kinds)],
            "atoms": [self.least, self.most],
        }


def from_card(card: dict[str, Any]) -> Chemistry | None:
    """Return the chemistry that a model card holds, None where it holds none (cards before version 0.2)."""
    stored = card.get("chemistry")
    if stored is None:
        return None
    kinds = frozenset(tuple(int(n) for n in kind) for kind in stored["kinds"])
    return Chemistry(frozenset(stored["elements"]), kinds, int(stored["atoms"][0]), int(stored["atoms"][1]))


def of_crystals(crystals: Crystals) -> Chemistry:
    """Return the chemistry of a training set."""
    contents = contents_of(crystals)
    sites = [primitive_sites(crystals, index) for index in range(len(crystals))]
    return _chemistry(contents, sites)


def of_fingerprint(fingerprint: Fingerprint) -> Chemistry:
    """Return the chemistry of the training set that left a fingerprint."""
    contents = [
        {NUMBER[symbol]: amount for symbol, amount in whole_amounts(formula).items()}
        for formula in dict.fromkeys(fingerprint.formulas)
    ]
    return _chemistry([reduced_amounts(amounts) for amounts in contents], fingerprint.sites.tolist())


def _chemistry(contents: Sequence[dict[int, int]], sites: Iterable[int]) -> Chemistry:
    """Return the chemistry of crystals by what they hold, without a common factor."""
    counts = np.array(list(sites), dtype=np.int64)
    return Chemistry(
        frozenset(z for amounts in contents for z in amounts),
        frozenset(tuple(sorted(amounts.values(), reverse=True)) for amounts in contents),
        int(counts.min(initial=counts.max(initial=0))),
        int(counts.max(initial=0)),
    )


def anonymous(kind: Kind) -> str:
    """Return amounts as an anonymous formula, smallest first: ABC3."""
    return "".join(f"{LETTERS[i % len(LETTERS)]}{n if n > 1 else ''}" for i, n in enumerate(sorted(kind)))


def between(least: int, most: int) -> str:
    """Return a range in words."""
    return str(least) if least == most else f"{least} to {most}"
