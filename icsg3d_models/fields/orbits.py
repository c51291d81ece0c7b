"""Orbits of a space group on which atoms may lie, by what a symmetric field shows.

An orbit is all that the operations make of one point. A point near a rotation axis, a mirror or a centre is moved onto
it: so special positions are found as the field shows them, without a table of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ONTO = 0.6  # Å, of a point to its own image, below which the two are one
SAME = 0.25  # Å, of two orbits that are one
BESIDE = 0.7  # Å, of two of the same size that no crystal holds both of
COINCIDE = 0.02  # Å, of a point and its image on a special position
RASTER = 1.2  # Å, of points that are tried beside the maxima
MOST = 28  # orbits of one crystal, those with the highest occupancy


@dataclass(frozen=True)
class Orbits:
    """Orbits of one crystal.

    :param site: (N, 3) fractional coordinates of one point of each.
    :param images: (N, O, 3) what the operations make of it.
    :param size: (N,) points in the cell.
    :param distance: (N, N) Å, the shortest between points of two orbits; on the diagonal of one and the same.
    """

    site: np.ndarray
    images: np.ndarray
    size: np.ndarray
    distance: np.ndarray

    def points(self, index: int, cell: np.ndarray) -> np.ndarray:
        """Return all points of an orbit in the cell, (size, 3)."""
        images = self.images[index] % 1.0
        first = (lengths(images[:, None] - images[None], cell) < 0.1).argmax(axis=1)
        return np.asarray(images[np.unique(first)])


def lengths(difference: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Return the lengths in Å of fractional differences (..., 3) to their nearest images in a reduced cell."""
    return np.asarray(np.linalg.norm((difference - np.round(difference)) @ cell, axis=-1))


def read_at(field: np.ndarray, frac: np.ndarray) -> np.ndarray:
    """Return a periodic field (C, nx, ny, nz) between its points, linearly, at fractional coordinates, (N, C)."""
    size = np.array(field.shape[1:])
    place = (frac % 1.0) * size
    low = np.floor(place).astype(int)
    part = place - low
    total = np.zeros((len(frac), len(field)))
    for corner in np.ndindex(2, 2, 2):
        weight = np.where(corner, part, 1 - part).prod(axis=1)
        x, y, z = ((low + corner) % size).T
        total += weight[:, None] * field[:, x, y, z].T
    return total


def raster(cell: np.ndarray) -> np.ndarray:
    """Return points all over a cell, an even number along each vector, so that centres are among them, (N, 3)."""
    counts = 2 * np.maximum(1, np.ceil(np.linalg.norm(cell, axis=1) / (2 * RASTER)).astype(int))
    axes = np.meshgrid(*(np.arange(n) / n for n in counts), indexing="ij")
    return np.stack(axes, axis=-1).reshape(-1, 3)


def orbits_of(
    maxima: np.ndarray, occupancy: np.ndarray, cell: np.ndarray, rotations: np.ndarray, translations: np.ndarray
) -> Orbits:
    """Return the orbits with the highest occupancy.

    :param maxima: (M, 3) fractional coordinates of the maxima of the occupancy.
    :param occupancy: (nx, ny, nz), symmetric. :param rotations: (O, 3, 3); ``translations``: (O, 3).
    """
    points = np.concatenate([maxima, raster(cell)])
    height = read_at(occupancy[None], points)[:, 0]
    height[: len(maxima)] += 0.02  # before points beside them
    for tolerance in (ONTO, ONTO, ONTO, SAME):
        moved = images_of(points, rotations, translations) - points[:, None]
        moved -= np.round(moved)
        near = np.linalg.norm(moved @ cell, axis=-1) < tolerance  # (N, O)
        points = points + (moved * near[..., None]).sum(axis=1) / near.sum(axis=1, keepdims=True)
    images = images_of(points, rotations, translations)
    apart = lengths(images - points[:, None], cell)
    fixed = np.maximum((apart < COINCIDE).sum(axis=1), 1)
    torn = ((apart >= COINCIDE) & (apart < ONTO)).any(axis=1) | (len(translations) % fixed > 0)
    kept: list[int] = []
    for index in np.argsort(-height, kind="stable"):
        if torn[index]:
            continue
        if kept:
            near = lengths(images[kept] - points[index], cell).min(axis=1)
            # one of the same size beside a higher one says nothing that is new
            if (near < np.where(fixed[kept] == fixed[index], BESIDE, SAME)).any():
                continue
        kept.append(int(index))
        if len(kept) == MOST:
            break
    images, points, apart = images[kept], points[kept], apart[kept]
    distance = lengths(images[:, None] - points[None, :, None], cell).min(axis=-1, initial=np.inf)
    own = np.where(apart < COINCIDE, np.inf, apart).min(axis=-1, initial=np.inf)
    distance[np.arange(len(kept)), np.arange(len(kept))] = own
    return Orbits(points, images, len(translations) // fixed[kept], distance)


def images_of(points: np.ndarray, rotations: np.ndarray, translations: np.ndarray) -> np.ndarray:
    """Return what operations make of points (N, 3), (N, O, 3)."""
    return np.asarray(np.einsum("oij,nj->noi", rotations, points) + translations)
