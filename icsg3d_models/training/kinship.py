"""Which elements stand for one another in crystals, learned from crystals of known space groups.

A crystal is likely to have the space group of those of the same amounts whose elements are akin to its own. How akin
two elements are is the distance of their codes; codes are fitted so that, each crystal of the training part left out
with all of its composition, the likeliest of the others have its space group (neighbourhood components analysis:
Goldberger et al., Adv. Neural Inf. Process. Syst. 17 (2004); statistics of substitution: Hautier et al., Inorg. Chem.
50, 656 (2011), 10.1021/ic102031h). The first codes are those by which all networks of this project know elements.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import permutations
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..conditions.analogy import Examples, usual_codes

FEWEST = 2000  # examples; with fewer the usual codes stay
OF_A_KIND = 8  # examples of one set of amounts below which nothing is learned of them
MOST_WAYS = 24  # in which elements of equal amounts may take each other's places
STEPS, RATE = 2500, 0.02
JUDGED, BESIDE = 64, 768  # crystals of a step, and others that each is compared with
HOPELESS = 0.02  # probability that is granted to what none of the others are: outliers do not lead


class Kind(NamedTuple):
    """Examples with the same amounts in the cell.

    :param elements: (M, k) atomic numbers, in the order of the amounts, those of equal amount by number.
    :param groups: (M,) numbers of their space groups.
    :param ways: (W, k) orders that keep the amounts.
    """

    elements: Tensor
    groups: Tensor
    ways: tuple[tuple[int, ...], ...]


def kinds_of(examples: Examples) -> list[Kind]:
    """Return the examples of several elements by the amounts in their cells, as far as there are enough of a kind."""
    members: dict[tuple[int, ...], list[int]] = {}
    order = np.lexsort((examples.numbers, np.where(examples.amounts > 0, examples.amounts, 255)), axis=1)
    amounts = np.take_along_axis(examples.amounts, order, axis=1)
    numbers = np.take_along_axis(examples.numbers, order, axis=1)
    for row, own in enumerate(amounts):
        members.setdefault(tuple(own[own > 0].tolist()), []).append(row)
    kinds = []
    for own, rows in members.items():
        count = math.prod(math.factorial(own.count(amount)) for amount in set(own))
        if len(own) > 1 and len(rows) >= OF_A_KIND and count <= MOST_WAYS:
            ways = tuple(w for w in permutations(range(len(own))) if all(own[w[i]] == own[i] for i in range(len(own))))
            elements = torch.from_numpy(numbers[rows, : len(own)].astype(np.int64))
            kinds.append(Kind(elements, torch.from_numpy(examples.groups[rows]), ways))
    return kinds


def likeness(codes: Tensor, kind: Kind, judged: Tensor, beside: Tensor) -> Tensor:
    """Return log Σ_ways exp(-Σ_places |difference of codes|²) of crystals with others, (J, B).

    :param judged: (J, k) atomic numbers; ``beside``: (B, k).
    """
    distance = torch.cdist(codes, codes).square()
    ways = []
    for way in kind.ways:
        apart = [distance[judged[:, place, None], beside[None, :, i]] for i, place in enumerate(way)]
        ways.append(-torch.stack(apart).sum(dim=0))
    return torch.stack(ways).logsumexp(dim=0)


def learn_codes(examples: Examples, seed: int, say: Callable[[str], None] = lambda _: None) -> np.ndarray | None:
    """Return codes of the elements, (MAX_Z + 1, D) float32; None where there are too few examples to learn from.

    :param seed: of what is drawn in each step.
    :param say: takes how likely the true space group was before and after, by the crystals of the last steps.
    """
    kinds = kinds_of(examples)
    count = np.array([len(kind.groups) for kind in kinds])
    if len(examples) < FEWEST or count.sum() < FEWEST:
        return None
    rng = np.random.default_rng(seed)
    codes = torch.from_numpy(usual_codes()).float().requires_grad_(True)
    optimiser = torch.optim.Adam([codes], lr=RATE)
    found: list[float] = []
    for step in range(STEPS):
        optimiser.param_groups[0]["lr"] = RATE * (1 - step / STEPS)
        kind = kinds[rng.choice(len(kinds), p=count / count.sum())]
        judged, beside = (torch.from_numpy(rng.permutation(len(kind.groups))[:most]) for most in (JUDGED, BESIDE))
        own, others = kind.elements[judged], kind.elements[beside]
        scores = likeness(codes, kind, own, others)
        same = (own.sort(dim=1).values[:, None] == others.sort(dim=1).values).all(dim=2)  # itself, and its polymorphs
        right = (kind.groups[judged, None] == kind.groups[beside]) & ~same
        some = right.any(dim=1)
        if not some.any():
            continue
        scores = scores.masked_fill(same, -torch.inf)[some]
        share = (scores.masked_fill(~right[some], -torch.inf).logsumexp(1) - scores.logsumexp(1)).exp()
        loss = -((1 - HOPELESS) * share + HOPELESS).log().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        found.append(float(share.detach().mean()))
    some_steps = max(len(found) // 50, 1)
    before, after = np.mean(found[:some_steps]), np.mean(found[-some_steps:])
    say(f"kinship of elements: probability of the space group of a training crystal {before:.2f}, learned {after:.2f}")
    return codes.detach().numpy()
