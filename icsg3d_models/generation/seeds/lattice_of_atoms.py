"""The lattice of a crystal from the atoms that a box shows of it, by their autocorrelation, and the sites of one cell.

A vector between two atoms of an element is one of the lattice where it takes every atom to another of the same element,
as far as that one is in the box. Three short ones that span a lattice are reduced, refined by all pairs that they
explain, and the atoms are folded into one cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

AGREE = 0.8  # share of the atoms that a lattice vector must take to another one
FEWEST = 2  # atoms whose partners are in the box, so that a share says something
SHORTEST = 1.5  # Å, of a lattice vector
FLAT = 0.1  # of a³: cells smaller than that are no cells


@dataclass(frozen=True)
class Folded:
    """A crystal from the atoms of a box.

    :param cell: (3, 3) Å, rows are lattice vectors.
    :param places: (S, 3) Å of the sites; ``numbers``: (S,).
    :param owner: (M,) site that each atom is an image of, -1 for none.
    """

    cell: np.ndarray
    places: np.ndarray
    numbers: np.ndarray
    owner: np.ndarray


def fold(positions: np.ndarray, numbers: np.ndarray, edge: float, tolerance: float) -> Folded | str:
    """Return the crystal that atoms repeat, or why there is none.

    :param positions: (M, 3) Å, within 0 and ``edge``; ``numbers``: (M,).
    :param tolerance: Å that two atoms may be apart and still be the same.
    """
    if len(numbers) < 2:
        return "fewer than two atoms in the box"
    vectors, shares = _lattice_vectors(positions, numbers, edge, tolerance)
    cell = _three(vectors, shares)
    if cell is None:
        return "the atoms repeat along fewer than three directions within the box"
    cell = _refined(_reduced(cell), positions, numbers, tolerance)
    return _sites(cell, positions, numbers, tolerance)


def _lattice_vectors(
    positions: np.ndarray, numbers: np.ndarray, edge: float, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors (V, 3) that take atoms to atoms, one of each pair v, -v, and the share that they take, (V,)."""
    kinds, counts = np.unique(numbers, return_counts=True)
    several = counts > 1
    if not several.any():
        return np.zeros((0, 3)), np.zeros(0)
    rarest = positions[numbers == kinds[several][counts[several].argmin()]]
    apart = (rarest[:, None] - rarest[None]).reshape(-1, 3)
    apart = apart[np.linalg.norm(apart, axis=1) > SHORTEST]
    # one of v and -v
    first = np.sign(np.where(np.abs(apart) > tolerance, apart, 0))
    leading = np.array([next((s for s in row if s), 1.0) for row in first])
    apart = apart * leading[:, None]
    found: list[np.ndarray] = []
    left = apart[np.argsort(np.linalg.norm(apart, axis=1), kind="stable")]
    while len(left):
        near = np.linalg.norm(left - left[0], axis=1) < 2 * tolerance
        found.append(left[near].mean(axis=0))
        left = left[~near]
    shares = np.array([_share(vector, positions, numbers, edge, tolerance) for vector in found])
    return np.array(found).reshape(-1, 3), shares


def _share(vector: np.ndarray, positions: np.ndarray, numbers: np.ndarray, edge: float, tolerance: float) -> float:
    """Return the share of atoms that a vector takes to another of their element, of those that it keeps inside."""
    hits, tried = 0, 0
    for shift in (vector, -vector):
        moved = positions + shift
        # not so close to a face that the partner is cut by it
        inside = ((moved > 2 * tolerance) & (moved < edge - 2 * tolerance)).all(axis=1)
        if not inside.any():
            continue
        distance = np.linalg.norm(moved[inside][:, None] - positions[None], axis=2)
        distance[numbers[inside][:, None] != numbers] = np.inf
        hits += int((distance.min(axis=1) < 1.5 * tolerance).sum())
        tried += int(inside.sum())
    return hits / tried if tried >= FEWEST else 0.0


def _three(vectors: np.ndarray, shares: np.ndarray) -> np.ndarray | None:
    """Return the three shortest vectors that agree and span a cell, (3, 3)."""
    chosen: list[np.ndarray] = []
    good = vectors[shares >= AGREE]
    for vector in good[np.argsort(np.linalg.norm(good, axis=1), kind="stable")]:
        trial = np.array([*chosen, vector])
        lengths = np.linalg.norm(trial, axis=1)
        singular = np.linalg.svd(trial / lengths[:, None], compute_uv=False)
        if singular[-1] > 0.3 * (1 if len(trial) > 1 else 0):
            chosen.append(vector)
        if len(chosen) == 3:
            cell = np.array(chosen)
            return cell if abs(np.linalg.det(cell)) > FLAT * SHORTEST**3 else None
    return None


def _reduced(cell: np.ndarray) -> np.ndarray:
    """Return the Niggli-reduced cell, as it is where it has none."""
    import spglib

    found = spglib.niggli_reduce(cell, eps=1e-3)
    return cell if found is None else np.asarray(found)


def _refined(cell: np.ndarray, positions: np.ndarray, numbers: np.ndarray, tolerance: float) -> np.ndarray:
    """Return the cell that explains best all vectors between atoms that are whole numbers of it, by least squares."""
    for _ in range(2):
        first, second = np.nonzero(np.triu(numbers[:, None] == numbers, 1))
        apart = positions[second] - positions[first]
        whole = np.rint(apart @ np.linalg.inv(cell))
        error = np.linalg.norm(apart - whole @ cell, axis=1)
        kept = (error < 2 * tolerance) & whole.any(axis=1)
        if kept.sum() < 3 or np.linalg.matrix_rank(whole[kept]) < 3:
            return cell
        cell = np.linalg.lstsq(whole[kept], apart[kept], rcond=None)[0]
    return cell


def _sites(cell: np.ndarray, positions: np.ndarray, numbers: np.ndarray, tolerance: float) -> Folded:
    """Return the sites of one cell: atoms that are the same up to lattice vectors, at their mean.

    A site that fewer than half as many atoms stand for as for the others is none: the lattice would repeat it.
    """
    inverse = np.linalg.inv(cell)
    images = np.array(list(product((-1, 0, 1), repeat=3)))
    places: list[np.ndarray] = []
    kinds: list[int] = []
    members: list[list[np.ndarray]] = []
    owner = []
    for position, number in zip(positions, numbers.tolist(), strict=True):
        best, where = np.inf, -1
        nearest = position
        for index, place in enumerate(places):
            apart = (position - place) @ inverse
            apart = (apart - np.rint(apart) + images) @ cell
            distance = np.linalg.norm(apart, axis=1)
            if kinds[index] == number and distance.min() < best:
                best, where, nearest = float(distance.min()), index, place + apart[distance.argmin()]
        if best < 2 * tolerance:
            members[where].append(nearest)
            places[where] = np.mean(members[where], axis=0)
            owner.append(where)
        else:
            owner.append(len(places))
            places.append(position)
            kinds.append(number)
            members.append([position])
    seen = np.array([len(some) for some in members])
    kept = seen >= 0.5 * np.median(seen)
    rank = np.where(kept, np.cumsum(kept) - 1, -1)
    return Folded(cell, np.array(places)[kept], np.array(kinds)[kept], rank[np.array(owner)])
