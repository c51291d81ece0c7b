"""Listed sites and operations become all sites of the cell."""

from __future__ import annotations

import gemmi
import numpy as np

from ...crystals.batch import CrystalError
from ..crystal import Crystal
from .groups import Operations
from .sites import Sites

SAME = 0.4  # Å; nearer images of one atom are that atom, written with few digits
SLACK = 0.05  # Å; how far images of one atom may be apart however many digits are written
_FEW = 3000  # sites up to which every pair is looked at


def expand(cell: np.ndarray, sites: Sites, operations: Operations) -> tuple[Crystal, list[str]]:
    """Return the crystal, and which listed sites lie on one that is there already.

    A site next to a special position is put onto it: 0.3333 is 1/3 where the group says so.

    :param cell: (3, 3), Å.
    :raises CrystalError: images of a site are too near for two atoms and too far for one, or two elements
        share a place.
    """
    if len(operations) == 1:
        frac, numbers = sites.frac % 1.0, sites.numbers
        owner = np.arange(len(numbers))
    else:
        ordered = sorted(operations)
        rotations = np.array([rotation for rotation, _ in ordered], dtype=float)
        translations = np.array([translation for _, translation in ordered]) / gemmi.Op.DEN
        orbits = [
            _orbit(cell, x, sites.rounding, rotations, translations, label)
            for x, label in zip(sites.frac, sites.labels, strict=True)
        ]
        frac = np.concatenate(orbits) % 1.0
        owner = np.repeat(np.arange(len(orbits)), [len(orbit) for orbit in orbits])
        numbers = sites.numbers[owner]
    frac[frac == 1.0] = 0.0
    again = _on_one_place(cell, frac, sites, owner)
    keep = np.ones(len(numbers), dtype=bool)
    keep[list(again)] = False
    notes = list(dict.fromkeys(f"{sites.labels[owner[i]]} on {sites.labels[owner[j]]}" for i, j in again.items()))
    return Crystal(cell, frac[keep], numbers[keep]), notes


def _orbit(
    cell: np.ndarray, x: np.ndarray, rounding: float, rotations: np.ndarray, translations: np.ndarray, label: str
) -> np.ndarray:
    """Return the images (m, 3) of a site in one cell."""
    images = rotations @ x + translations
    apart = images - x
    apart -= np.round(apart)
    distances = np.linalg.norm(apart @ cell, axis=1)
    same = distances < SAME
    # what rounding of the coordinates can do: an operation adds up to three of them, for both ends
    allowed = SLACK + 4 * rounding * float(np.linalg.norm(cell, axis=1).max())
    if distances[same].max() > allowed:
        raise CrystalError(
            f"site {label} is {distances[same].max():.2f} Å from its own image: disorder about a special position, "
            "or coordinates of another setting"
        )
    if len(rotations) % same.sum():
        raise CrystalError(f"site {label} has images that are neither one atom nor apart")
    onto = x + apart[same].mean(axis=0)
    images = rotations @ onto + translations
    found = np.empty((0, 3))
    for image in images:
        gap = found - image
        gap -= np.round(gap)
        if not len(found) or np.linalg.norm(gap @ cell, axis=1).min() > SAME / 2:
            found = np.concatenate([found, image[None]])
    if len(found) * same.sum() != len(rotations):
        raise CrystalError(f"site {label} has images that are neither one atom nor apart")
    return found


def _on_one_place(cell: np.ndarray, frac: np.ndarray, sites: Sites, owner: np.ndarray) -> dict[int, int]:
    """Return the sites that lie on an earlier one of the same element: index -> index of that one.

    :raises CrystalError: an element lies on another.
    """
    found: dict[int, int] = {}
    if len(frac) > _FEW:
        return found
    for start in range(0, len(frac), 100):
        gap = frac[start : start + 100, None] - frac[None, : start + 100]
        gap -= np.round(gap)
        near = ((gap @ cell) ** 2).sum(axis=2) < SLACK**2
        for row, earlier in np.argwhere(near):
            index = start + int(row)
            if earlier >= index or index in found:
                continue
            one, other = owner[earlier], owner[index]
            if sites.numbers[one] != sites.numbers[other]:
                raise CrystalError(f"sites {sites.labels[one]} and {sites.labels[other]} are on one place")
            found[index] = int(earlier)
    return found


def same_crystal(one: Crystal, other: Crystal) -> bool:
    """Return whether two crystals in one cell have the same sites, in whatever order."""
    if len(one.numbers) != len(other.numbers):
        return False
    for x, number in zip(one.frac, one.numbers, strict=True):
        gap = other.frac[other.numbers == number] - x
        gap -= np.round(gap)
        if not len(gap) or np.linalg.norm(gap @ one.cell, axis=1).min() > 2 * SLACK:
            return False
    return True
