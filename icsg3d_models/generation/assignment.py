"""Sites of a composition that was asked for: the strongest peaks, and the best assignment of its atoms to them.

A field shows where atoms are, and a U-Net of which element each probably is. Where the composition is known, the
elements of the sites are not free: together they are the ones asked for, as likely as possible. That is the linear
assignment problem (Kuhn, 10.1002/nav.3800020109), with the negative log probability as the cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

MOST_CANDIDATES = 8  # elements whose probabilities are kept for each region
WHOLE = 0.7  # occupancy of a peak that is an atom and nothing less
UNLIKELY = -50.0  # log probability of an element that is not among them


@dataclass(frozen=True)
class Assigned:
    """Which peaks are atoms, and of which elements.

    :param rows: (n,) peaks, ascending; ``number``: (n,) atomic numbers; ``confidence``: (n,) their probabilities.
    """

    rows: np.ndarray
    number: np.ndarray
    confidence: np.ndarray


def assign(
    amounts: Mapping[int, int],
    strength: np.ndarray,
    candidate: np.ndarray,
    log_probability: np.ndarray,
    least: float = 0.0,
) -> Assigned | str:
    """Return the sites of one sample, or why there are none.

    Of the peaks the strongest are taken, as many as the composition has atoms. Where there are twice as many or more,
    the cell holds the composition as often as they allow. A field of another composition is not bent to this one:
    neither are whole atoms left out, nor elements put where the U-Net sees others.

    :param amounts: atomic number -> atoms in one cell, as asked for.
    :param strength: (R,) occupancy at each peak, 1 for an atom.
    :param candidate: (R, K) atomic numbers of the likeliest elements; ``log_probability``: (R, K) of each.
    :param least: probability that the element of every site must have.
    """
    atoms = sum(amounts.values())
    units = len(strength) // atoms
    if units == 0:
        return f"fewer peaks than the {atoms} atoms of the composition"
    order = np.argsort(-strength, kind="stable")
    rows, others = np.sort(order[: units * atoms]), order[units * atoms :]
    if (strength[others] > WHOLE).any():
        return f"more atoms than a multiple of the {atoms} of the composition"
    elements = np.array(list(amounts))
    kinds = np.repeat(np.arange(len(elements)), [units * amount for amount in amounts.values()])  # (n,) of the atoms
    match = candidate[rows][:, :, None] == elements  # (n, K, E)
    known = np.where(match, log_probability[rows][:, :, None], UNLIKELY).max(axis=1)  # (n, E)
    table = np.maximum(known, UNLIKELY)[:, kinds]  # (n, n): peaks and atoms
    site, slot = linear_sum_assignment(-table)
    confidence = np.exp(table[site, slot])
    if confidence.min() < least:
        return f"the elements of the composition are not where the atoms are, at a probability of {least:g} at least"
    return Assigned(rows, elements[kinds[slot]], confidence)
