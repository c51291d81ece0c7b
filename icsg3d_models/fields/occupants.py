"""Which orbits atoms lie on, where it is known how many of each element a cell holds.

Each orbit is left empty or given an element, so that the cell holds exactly these atoms, none of them too close, and
the field is explained best: by how much less is left of occupancy and species channels with the atoms than without.
Found by a beam search over the orbits, the fullest first.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from torch import Tensor
from torch.nn import functional

from ..crystals.elements import code_table
from ..crystals.operations import Operations
from .orbits import Orbits, orbits_of, read_at
from .peaks import refine_peaks

LEAST = 0.02  # occupancy of a maximum that is looked at
MOST_MAXIMA = 40
CLOSEST = 0.8  # of the sum of two covalent radii
BEAM, ALIKE = 300, 8  # assignments that are followed, and of those with equal atoms left
State = tuple[float, tuple[int, ...], int, tuple[tuple[int, int], ...]]
"""Worth of an assignment, atoms left of each element, bits of what is taken, pairs of orbit and element."""
Found = tuple[np.ndarray, np.ndarray]
"""Fractional coordinates (n, 3) and atomic numbers (n,)."""


@functools.cache
def covalent_radii() -> np.ndarray:
    """Return covalent radii in Å by atomic number (Cordero et al., Dalton Trans. 2832 (2008), 10.1039/b801115j)."""
    from ase.data import covalent_radii as radii

    return np.asarray(radii)


@functools.cache
def codes() -> np.ndarray:
    """Return the code of every element, by atomic number."""
    return np.array(code_table())


def gains(orbits: Orbits, occupancy: np.ndarray, species: np.ndarray, elements: list[int]) -> np.ndarray:
    """Return by how much an atom explains what the fields show at a point of each orbit, (N, E)."""
    wanted = codes()[elements]
    height = read_at(occupancy[None], orbits.site)[:, 0]
    shown = read_at(species, orbits.site)
    without = height**2 + (shown**2).sum(axis=1)
    left = ((1 - height) ** 2)[:, None] + ((shown[:, None] - wanted) ** 2).sum(axis=-1)
    return np.asarray(without[:, None] - left)


def assigned(orbits: Orbits, gain: np.ndarray, amounts: Mapping[int, int]) -> list[tuple[int, int]] | None:
    """Return pairs of orbit and element (a place in ``amounts``), None where the atoms fit nowhere.

    :param gain: (N, E) of one atom, see :func:`gains`.
    """
    elements, count = list(amounts), len(amounts)
    radii = CLOSEST * covalent_radii()[elements]
    needed = radii[:, None] + radii
    close = orbits.distance[:, :, None, None] < needed  # (N, N, E, E)
    worth, size = (gain * orbits.size[:, None]).tolist(), orbits.size.tolist()
    beam: list[State] = [(0.0, tuple(amounts.values()), 0, ())]
    done: list[tuple[float, tuple[tuple[int, int], ...]]] = []
    for i in range(len(size)):
        barred = [
            sum(1 << (j * count + f) for j, f in zip(*(a.tolist() for a in np.nonzero(close[i, :i, e])), strict=True))
            for e in range(count)
        ]
        longer = list(beam)
        for value, left, used, chosen in beam:
            for e in range(count):
                if left[e] < size[i] or close[i, i, e, e] or used & barred[e]:
                    continue
                rest = (*left[:e], left[e] - size[i], *left[e + 1 :])
                total, pairs = value + worth[i][e], (*chosen, (i, e))
                if any(rest):
                    longer.append((total, rest, used | 1 << (i * count + e), pairs))
                else:
                    done.append((total, pairs))
        beam = widest(longer)
    return list(max(done)[1]) if done else None


def widest(longer: list[State]) -> list[State]:
    """Return the best assignments, not too many of which have the same atoms left."""
    kept: list[State] = []
    alike: dict[tuple[int, ...], int] = {}
    for state in sorted(longer, key=lambda state: -state[0]):
        if alike.get(state[1], 0) < ALIKE:
            alike[state[1]] = alike.get(state[1], 0) + 1
            kept.append(state)
        if len(kept) == BEAM:
            break
    return kept


def maxima_of(occupancy: Tensor) -> list[np.ndarray]:
    """Return the fractional coordinates of the highest maxima of each field (B, nx, ny, nz), the highest first."""
    padded = functional.pad(occupancy[:, None], (1,) * 6, mode="circular")
    highest = functional.max_pool3d(padded, 3, stride=1)[:, 0]
    rows = ((occupancy >= highest - 1e-7) & (occupancy > LEAST)).nonzero()
    owner, voxel = rows[:, 0], rows[:, 1:]
    if len(rows) == 0:
        return [np.zeros((0, 3))] * len(occupancy)
    frac = refine_peaks(occupancy, owner, voxel).double().cpu().numpy()
    height = occupancy[owner, *voxel.unbind(1)].cpu().numpy()
    order = np.lexsort((-height, owner.cpu().numpy()))
    starts = np.searchsorted(owner.cpu().numpy()[order], np.arange(len(occupancy) + 1))
    return [frac[order[a : min(b, a + MOST_MAXIMA)]] for a, b in pairwise(starts)]


def sites_of_contents(
    occupancy: Tensor, species: Tensor, cell: Tensor, operations: Operations, contents: list[dict[int, int]]
) -> list[Found | None]:
    """Return the sites of what each cell holds, None where nothing is known of it or its atoms fit on no orbits.

    :param occupancy: (B, 1, nx, ny, nz) and ``species``: (B, K, nx/2, ny/2, nz/2), both symmetric.
    :param cell: (B, 3, 3) Å. :param contents: atomic number -> atoms in the cell; empty: not known.
    """
    found: list[Found | None] = []
    everywhere = maxima_of(occupancy[:, 0])
    for row, amounts in enumerate(contents):
        if not amounts:
            found.append(None)
            continue
        occupied, kinds = occupancy[row, 0].double().cpu().numpy(), species[row].double().cpu().numpy()
        vectors = cell[row].double().cpu().numpy()
        orbits = orbits_of(everywhere[row], occupied, vectors, *operations.of(row))
        pairs = assigned(orbits, gains(orbits, occupied, kinds, list(amounts)), amounts)
        if pairs is None:
            found.append(None)
            continue
        elements = list(amounts)
        points = [orbits.points(orbit, vectors) for orbit, _ in pairs]
        numbers = np.repeat([elements[e] for _, e in pairs], [len(p) for p in points])
        whole = all(len(p) == orbits.size[orbit] for p, (orbit, _) in zip(points, pairs, strict=True))
        found.append((np.concatenate(points), numbers) if whole else None)
    return found
