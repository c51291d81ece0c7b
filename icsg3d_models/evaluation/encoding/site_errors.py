"""How far the sites of rebuilt crystals are from the true ones, and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...crystals.batch import Crystals
from .roundtrip import RoundTrip


@dataclass(frozen=True)
class SiteErrors:
    """Comparison of B crystals with what came back of them.

    :param largest: (B,) largest distance in Å of a site from its partner; NaN where the numbers of sites differ.
    :param mean: (B,) mean distance in Å; NaN likewise.
    :param species: (B,) share of the sites with the right element; NaN likewise.
    :param found: (B,) sites that came back.
    """

    largest: np.ndarray
    mean: np.ndarray
    species: np.ndarray
    found: np.ndarray

    def failed(self, tolerance: float) -> np.ndarray:
        """Return the indices of crystals with a wrong number of sites, a wrong element or a site off by more, in Å."""
        return np.flatnonzero(~((self.largest <= tolerance) & (self.species == 1.0)))


def site_errors(true: Crystals, rebuilt: Crystals) -> SiteErrors:
    """Pair the sites of each crystal by the assignment with the least sum of distances, and measure it.

    Distances are periodic. Both must be given in the same cell and origin; a crystal is looked up by its name.

    :param rebuilt: any of the crystals of ``true``; one that is missing counts as one without sites.
    """
    from scipy.optimize import linear_sum_assignment

    place = {name: index for index, name in enumerate(rebuilt.ids)}
    largest, mean, species = (np.full(len(true), np.nan) for _ in range(3))
    found = np.zeros(len(true), dtype=np.int64)
    for index, name in enumerate(true.ids):
        if name not in place:
            continue
        frac, numbers = true.sites(index)
        other, others = rebuilt.sites(place[name])
        found[index] = len(others)
        if len(others) != len(numbers):
            continue
        # Rounding fractions gives the exact distance of close pairs; of others in a sheared cell, at least no less.
        difference = frac[:, None] - other[None]
        distance = np.linalg.norm((difference - np.round(difference)) @ true.cell[index], axis=-1)
        row, column = linear_sum_assignment(distance)
        largest[index], mean[index] = distance[row, column].max(), distance[row, column].mean()
        species[index] = (numbers[row] == others[column]).mean()
    return SiteErrors(largest, mean, species, found)


def explain(result: RoundTrip, errors: SiteErrors, true: Crystals, index: int) -> str:
    """Return what went wrong with a crystal that failed, with the figure that decides it."""
    distance, sigma = float(result.shortest[index]), float(result.sigma[index])
    count, found = int(true.counts[index]), int(errors.found[index])
    close = f"closest sites {distance:.2f} Å apart, {distance / sigma:.1f} sigma"
    if found < count:
        cause = "neighbours below 3 sigma share a maximum" if distance < 3 * sigma else "the grid is too coarse"
        return f"{found} of {count} sites ({close}): {cause}"
    if found > count:
        return f"{found} sites instead of {count} ({close}): a maximum where tails add up, or of a sheared cell"
    what = f"{errors.largest[index]:.3f} Å off, species {100 * errors.species[index]:.0f} %"
    return f"{what} ({close}): " + ("overlap" if distance < 4 * sigma else "the grid is too coarse")
