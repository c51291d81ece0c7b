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
    amounts: Mapping[int, int], strength: np.ndarray, candidate: np.ndarray, log_probability: np.ndarray
) -> Assigned | str:
    """Return the sites of one sample, or why there are none.

    Of the peaks the strongest are taken, as many as the composition has atoms. Where there are twice as many or more,
    the cell holds the composition as often as they allow.

    :param amounts: atomic number -> atoms in one cell, as asked for.
    :param strength: (R,) occupancy at each peak, 1 for an atom.
    :param candidate: (R, K) atomic numbers of the likeliest elements; ``log_probability``: (R, K) of each.
    """
    atoms = sum(amounts.values())
    units = len(strength) // atoms
    if units == 0:
        return f"fewer peaks than the {atoms} atoms of the composition"
    rows = np.sort(np.argsort(-strength, kind="stable")[: units * atoms])
    elements = np.array(list(amounts))
    kinds = np.repeat(np.arange(len(elements)), [units * amount for amount in amounts.values()])  # (n,) of the atoms
    match = candidate[rows][:, :, None] == elements  # (n, K, E)
    known = np.where(match, log_probability[rows][:, :, None], UNLIKELY).max(axis=1)  # (n, E)
    table = np.maximum(known, UNLIKELY)[:, kinds]  # (n, n): peaks and atoms
    site, slot = linear_sum_assignment(-table)
    return Assigned(rows, elements[kinds[slot]], np.exp(table[site, slot]))
