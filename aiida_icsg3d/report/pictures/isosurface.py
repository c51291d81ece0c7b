"""Isosurfaces of periodic fields, cut open at the faces of the cell: ray marching for the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .render import Canvas, shade

STRIDE, REFINEMENTS = 0.15, 2  # Å along a ray; steps of refinement of a crossing
CHUNK = 60_000  # rays at a time, to stay in the cache


@dataclass(frozen=True)
class Field:
    """A periodic scalar field on a grid over one cell.

    :param values: (n1, n2, n3); voxel (i, j, k) is at fractional (i/n1, j/n2, k/n3).
    :param cell: (3, 3) Å, rows are the lattice vectors.
    """

    values: np.ndarray
    cell: np.ndarray

    def at(self, frac: np.ndarray) -> np.ndarray:
        """Return the field at fractional points (..., 3), trilinear and periodic."""
        return sample(self.values, frac)

    def gradient(self, frac: np.ndarray) -> np.ndarray:
        """Return the cartesian gradient (..., 3) at fractional points, by central differences, per Å."""
        inverse = np.linalg.inv(self.cell)
        n = self.values.shape
        parts = [(np.roll(self.values, -1, axis) - np.roll(self.values, 1, axis)) * n[axis] / 2 for axis in range(3)]
        return np.stack([sample(part, frac) for part in parts], axis=-1) @ inverse.T


def sample(values: np.ndarray, frac: np.ndarray) -> np.ndarray:
    """Return trilinear values of a periodic grid at fractional points (..., 3)."""
    from scipy.ndimage import map_coordinates

    points = np.moveaxis(frac * np.array(values.shape), -1, 0)
    return map_coordinates(values, points, order=1, mode="grid-wrap")


def periodic_gaussians(cell: np.ndarray, frac: np.ndarray, weights: np.ndarray, n: int, sigma: float) -> np.ndarray:
    """Return a sum of periodic Gaussians of height ``weights`` on an n^3 grid over the cell.

    Summed in reciprocal space: the sum over all periodic images, exact for any cell up to the cut-off of the grid.

    :param cell: (3, 3) Å, rows are the lattice vectors.
    :param frac: (N, 3) fractional centres.
    :param weights: (N,) height of each Gaussian.
    :param sigma: width in Å; must be at least about one grid step.
    """
    index = np.fft.fftfreq(n, 1 / n)
    phases = [np.exp(-2j * np.pi * np.outer(frac[:, axis], index)) for axis in range(3)]
    structure = np.einsum("s,si,sj,sk->ijk", weights, *phases, optimize=True)
    reciprocal = 2 * np.pi * np.linalg.inv(cell).T
    g = np.stack(np.meshgrid(index, index, index, indexing="ij"), axis=-1) @ reciprocal
    volume = abs(np.linalg.det(cell))
    transform = (2 * np.pi * sigma**2) ** 1.5 / volume * np.exp(-0.5 * sigma**2 * np.sum(g**2, axis=-1))
    return np.fft.ifftn(structure * transform).real * n**3


def refine(values: np.ndarray, n: int) -> np.ndarray:
    """Return a periodic field on a grid of at least n^3 points, by its Fourier series: smooth, and periodic still."""
    shape = tuple(max(n, size) for size in values.shape)
    for axis, (size, wanted) in enumerate(zip(values.shape, shape, strict=True)):
        if wanted == size:
            continue
        transform = np.fft.rfft(values, axis=axis)
        if size % 2 == 0:  # the highest wave stands for both signs; only one of them is kept by rfft
            np.moveaxis(transform, axis, 0)[-1] *= 0.5
        values = np.fft.irfft(transform, n=wanted, axis=axis) * (wanted / size)
    return values


def nearest_site(cell: np.ndarray, frac: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the index of the site nearest to each fractional point (M, 3), over the 27 nearest images."""
    shifts = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    images = ((frac % 1.0)[None] + shifts[:, None]).reshape(-1, 3) @ cell
    from scipy.spatial import cKDTree

    return cKDTree(images).query(points % 1.0 @ cell)[1] % len(frac)


def first_crossing(
    field: Field, level: float, origins: np.ndarray, step: np.ndarray, start: np.ndarray, stop: np.ndarray
) -> np.ndarray:
    """Return the depth (R,) at which each ray first reaches the level, NaN where it does not.

    :param origins: (R, 3) fractional point of each ray at depth 0.
    :param step: (3,) fractional, of one Å towards the viewer.
    :param start: (R,) Å, depth nearest to the viewer; the field is below the level there.
    :param stop: (R,) Å, where the ray leaves the cell.
    """
    found = np.full(len(origins), np.nan)
    active, before = np.arange(len(origins)), start
    value_before = field.at(origins + start[:, None] * step)
    while len(active):
        depth = np.maximum(before - STRIDE, stop[active])
        value = field.at(origins[active] + depth[:, None] * step)
        above = value >= level
        rays, outer, inner = active[above], before[above], depth[above]
        f_outer, f_inner = value_before[above], value[above]
        for _ in range(REFINEMENTS):  # regula falsi between a point outside and one inside
            share = (level - f_outer) / np.maximum(f_inner - f_outer, 1e-12)
            middle = outer + (inner - outer) * np.clip(share, 0.02, 0.98)
            f_middle = field.at(origins[rays] + middle[:, None] * step)
            over = f_middle >= level
            outer, f_outer = np.where(over, outer, middle), np.where(over, f_outer, f_middle)
            inner, f_inner = np.where(over, middle, inner), np.where(over, f_middle, f_inner)
        share = (level - f_outer) / np.maximum(f_inner - f_outer, 1e-12)
        found[rays] = outer + (inner - outer) * share
        left = ~above & (depth > stop[active])
        active, before, value_before = active[left], depth[left], value[left]
    return found


def draw_field(
    canvas: Canvas, field: Field, level: float, frac: np.ndarray, colours: np.ndarray, shift: np.ndarray
) -> None:
    """Draw the isosurface inside the cell, cut open at its faces; cuts show the field as a tint.

    :param frac: (N, 3) sites that name the regions.
    :param colours: (N, 3) colour of the region of each site.
    :param shift: (3,) fractional; the box that is drawn starts there.
    """
    camera = canvas.camera
    right, up = canvas.plane
    x, y = np.meshgrid(right, up)
    to_frac = camera.rotation @ np.linalg.inv(field.cell)  # view -> fractional
    origin = camera.centre @ np.linalg.inv(field.cell)
    base = np.stack([x, y, np.zeros_like(x)], axis=-1) @ to_frac + origin  # at depth 0
    step = to_frac[2]
    # slab test against the box 0..1; depth grows towards the viewer
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.stack([(0 - base) / step, (1 - base) / step])
    near, far = np.nanmin(ends.max(axis=0), axis=-1), np.nanmax(ends.min(axis=0), axis=-1)
    hit = near > far + 1e-6
    start, stop, base = near[hit], far[hit], base[hit]  # from the viewer to the back
    origins = base + shift
    inside = field.at(origins + (start - 1e-4)[:, None] * step) >= level
    found = np.where(inside, start, np.nan)
    rays = np.flatnonzero(~inside)
    for chunk in np.array_split(rays, max(1, len(rays) // CHUNK)):
        found[chunk] = first_crossing(field, level, origins[chunk], step, start[chunk], stop[chunk])
    seen = ~np.isnan(found)
    if not seen.any():
        return
    points = base[seen] + found[seen][:, None] * step + shift
    colour = colours[nearest_site(field.cell, frac, points)]
    normal = -field.gradient(points) @ camera.rotation.T
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    lit = shade(colour, normal)
    cut = inside[seen]
    value = np.clip((field.at(points[cut]) - level) / max(field.values.max() - level, 1e-12), 0, 1)[:, None]
    lit[cut] = colour[cut] * (1 - 0.45 * value) + (1 - colour[cut]) * 0.55 * (1 - value)
    image, depth_map = np.ones((*x.shape, 3)), np.full(x.shape, -np.inf)
    rows, columns = np.nonzero(hit)
    image[rows[seen], columns[seen]] = lit
    depth_map[rows[seen], columns[seen]] = found[seen]
    canvas._put((slice(None), slice(None)), depth_map > -np.inf, depth_map, image)
