"""Compositions of a chemical space, drawn as the training crystals have theirs.

A pattern is a ratio of amounts, such as 3 : 1 : 1, with how often each element takes each place. Elements of equal
amount are told apart by their electronegativity (Pauling), so that cations and anions do not change places. Drawn
element by element, most compositions are new; what the screening would throw out is not drawn.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from ..crystals.batch import Crystals
from ..crystals.contents import contents_of
from ..crystals.validity import composition_valid
from ..strict import Strict
from .stoichiometry import formula_of

RAREST = 0.005  # share of the crystals below which a pattern is left out
TRIES = 200  # draws of one composition


class Pattern(Strict):
    """A ratio of amounts and who takes its places."""

    amounts: list[int]
    """Of the elements, falling; those of equal amount rise in electronegativity."""
    count: int = Field(ge=1)
    """Crystals with this ratio."""
    places: list[dict[int, int]]
    """For every place, atomic number -> crystals that have it there."""


def patterns_of(crystals: Crystals) -> list[Pattern]:
    """Return the patterns of a set of crystals, the most frequent first."""
    from pymatgen.core import Element

    negativity = {int(z): float(Element.from_Z(int(z)).X) for z in np.unique(crystals.numbers)}
    order = {z: 0.0 if math.isnan(x) else x for z, x in negativity.items()}  # noble gases have none
    counts: Counter[tuple[int, ...]] = Counter()
    places: dict[tuple[int, ...], list[Counter[int]]] = {}
    for contents in contents_of(crystals):
        ranked = sorted(contents, key=lambda z: (-contents[z], order[z], z))
        amounts = tuple(contents[z] for z in ranked)
        counts[amounts] += 1
        for place, z in zip(places.setdefault(amounts, [Counter() for _ in amounts]), ranked, strict=True):
            place[z] += 1
    return [
        Pattern(amounts=list(amounts), count=count, places=[dict(sorted(place.items())) for place in places[amounts]])
        for amounts, count in counts.most_common()
        if count >= RAREST * len(crystals)
    ]


@dataclass(frozen=True)
class Fitting:
    """Patterns that fit what is asked for, and how often each is drawn.

    :param amounts: of every pattern, as in :class:`Pattern`.
    :param places: of every pattern, place by place, the elements that may stand there and their shares.
    :param weights: (P,) how likely a training crystal is of this pattern and of allowed elements, of sum 1.
    """

    amounts: list[list[int]]
    places: list[list[tuple[list[int], np.ndarray]]]
    weights: np.ndarray

    def draw(self, rng: np.random.Generator) -> dict[int, int] | None:
        """Return atomic number -> amount of a valid composition, None where none is met in 200 tries."""
        for _ in range(TRIES):
            index = int(rng.choice(len(self.weights), p=self.weights))
            drawn = [int(rng.choice(elements, p=shares)) for elements, shares in self.places[index]]
            composition = dict(zip(drawn, self.amounts[index], strict=True))
            if len(composition) == len(drawn) and composition_valid(formula_of(composition)):
                return composition
        return None


def fitting(patterns: list[Pattern], allowed: Collection[int], amounts: Sequence[int] | None) -> Fitting | None:
    """Return the patterns that fit, None where none does.

    :param allowed: atomic numbers.
    :param amounts: the ratio that is asked for, in any order; None: any.
    """
    wanted = None if amounts is None else sorted((a // math.gcd(*amounts) for a in amounts), reverse=True)
    usable = [pattern for pattern in patterns if wanted is None or pattern.amounts == wanted]
    kept = [[{z: n for z, n in place.items() if z in allowed} for place in pattern.places] for pattern in usable]
    weights = np.array(
        [
            pattern.count * math.prod(sum(place.values()) / pattern.count for place in places)
            for pattern, places in zip(usable, kept, strict=True)
        ]
    )
    if weights.sum() == 0:
        return None
    there = np.flatnonzero(weights)
    return Fitting(
        [usable[i].amounts for i in there],
        [[(list(p), np.array(list(p.values())) / sum(p.values())) for p in kept[i]] for i in there],
        weights[there] / weights.sum(),
    )
