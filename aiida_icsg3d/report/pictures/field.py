"""Periodic fields: computed from a crystal or read, refined, and cut into a surface at one level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .crystal import element_colour
from .mesh import Mesh

if TYPE_CHECKING:
    from pymatgen.core import Structure

SIGMA = 0.45  # Å, width of the occupancy of one atom
LEVEL = 0.35  # occupancy (1 at the centre of an atom) at which the surface is drawn
GRID = 64  # least grid points along an axis of a field that is drawn


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
        from scipy.ndimage import map_coordinates

        points = np.moveaxis(frac * np.array(self.values.shape), -1, 0)
        return map_coordinates(self.values, points, order=1, mode="grid-wrap")

    def gradient(self, frac: np.ndarray) -> np.ndarray:
        """Return the cartesian gradient (..., 3) at fractional points, by central differences, per Å."""
        n = self.values.shape
        parts = [(np.roll(self.values, -1, axis) - np.roll(self.values, 1, axis)) * n[axis] / 2 for axis in range(3)]
        return np.stack([Field(part, self.cell).at(frac) for part in parts], axis=-1) @ np.linalg.inv(self.cell).T


def occupancy(structure: Structure, values: np.ndarray | None = None, grid: int = GRID) -> Field:
    """Return the field of a crystal, 1 at the centre of an atom: the given one, or computed from its sites."""
    cell = np.asarray(structure.lattice.matrix)
    if values is None:
        frac = np.asarray(structure.frac_coords)
        values = periodic_gaussians(cell, frac, np.ones(len(frac)), grid, SIGMA)
    return Field(refine(np.asarray(values, dtype=np.float64), grid), cell)


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


def surface(field: Field, level: float, origin: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return vertices (V, 3) fractional, faces (F, 3) and outward normals (V, 3) of an isosurface, by scikit-image.

    The cell starts at a fractional ``origin``; the surface is closed by the faces of the cell. None where the field
    nowhere crosses the level.
    """
    from skimage.measure import marching_cubes

    n = np.array(field.values.shape)
    grid = np.stack(np.meshgrid(*[np.linspace(0, 1, size + 1) for size in n], indexing="ij"), axis=-1)
    values = field.at(grid + origin)
    if not values.min() < level < values.max():
        return None
    # a deep layer around closes the surface right at the faces of the cell
    padded = np.pad(values, 1, constant_values=level - 1e4 * float(np.ptp(values)))
    vertices, faces, _, _ = marching_cubes(padded, level)
    vertices = np.clip((vertices - 1) / n, 0, 1)
    outward = -field.gradient(vertices + origin)
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-12)
    return vertices, faces[:, ::-1], outward


def surface_meshes(structure: Structure, values: np.ndarray | None, origin: np.ndarray, grid: int = GRID) -> list[Mesh]:
    """Return the surface of the occupancy of a crystal, a mesh for each element, told by the nearest site.

    Where a face of the cell cuts an atom open, the cut shows the field as a tint, darkest at the centre.
    """
    field = occupancy(structure, values, grid)
    found = surface(field, LEVEL, origin)
    if found is None:
        return []
    vertices, faces, normals = found
    owner = nearest_site(field.cell, np.asarray(structure.frac_coords), vertices + origin)
    symbols = np.array([site.specie.symbol for site in structure])[owner][faces[:, 0]]
    corners = vertices[faces]  # (F, 3 corners, 3)
    cut = ((corners < 1e-3) | (corners > 1 - 1e-3)).all(axis=1).any(axis=1)
    depth = np.clip((field.at(corners.mean(axis=1) + origin) - LEVEL) / (field.values.max() - LEVEL), 0, 1)[:, None]
    meshes = []
    for symbol in dict.fromkeys(symbols.tolist()):
        chosen = symbols == symbol
        used, index = np.unique(faces[chosen], return_inverse=True)
        colours = np.tile(element_colour(symbol), (int(chosen.sum()), 1))
        tint = colours * (1 - 0.45 * depth[chosen]) + (1 - colours) * 0.55 * (1 - depth[chosen])
        colours = np.where(cut[chosen, None], tint, colours)
        meshes.append(Mesh(f"field of {symbol}", vertices[used] @ field.cell, index.reshape(-1, 3), normals[used],
                           colours, ~cut[chosen]))  # fmt: skip
    return meshes
