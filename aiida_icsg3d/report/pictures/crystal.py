"""What is drawn of a crystal: which images of its atoms, which bonds, which polyhedra, in which colours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pymatgen.core import Structure

BOND_FACTOR = 1.25  # longest bond, in units of the shortest distance of either atom
POLYHEDRON = range(4, 9)  # coordination numbers drawn as a polyhedron
EDGE = 1e-3  # fractional; an atom this close to a face belongs to both sides


@cache
def _schemes() -> dict[str, dict[str, list[int]]]:
    from importlib.resources import files

    import yaml

    text = files("pymatgen.vis").joinpath("ElementColorSchemes.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


def element_colour(symbol: str) -> np.ndarray:
    """Return the colour (3,) in 0..1 of an element: the VESTA scheme, a little less saturated for print."""
    rgb = np.array(_schemes()["VESTA"].get(symbol, [200, 200, 200]), dtype=float) / 255
    return np.clip(0.88 * rgb + 0.12 * rgb.mean() + 0.02, 0, 1)


def element_radius(symbol: str) -> float:
    """Return the radius of the ball of an element in Å: small, but ordered like the atoms."""
    from pymatgen.core import Element

    return 0.24 + 0.17 * float(Element(symbol).atomic_radius or 1.4)


@dataclass(frozen=True)
class Scene:
    """A crystal ready to be drawn.

    :param cell: (3, 3) Å, rows are the lattice vectors.
    :param symbols: element of each drawn atom.
    :param positions: (M, 3) Å, one for each drawn image.
    :param bonds: pairs of indices into the drawn atoms.
    :param polyhedra: (index of the centre, (T, 3, 3) triangles in Å).
    """

    cell: np.ndarray
    symbols: list[str]
    positions: np.ndarray
    bonds: list[tuple[int, int]]
    polyhedra: list[tuple[int, np.ndarray]]


def best_origin(structure: Structure) -> np.ndarray:
    """Return the fractional site to put at the corner: the atom with the longest shortest distance.

    In a perovskite that is the A site, which puts the octahedron in the middle of the cell.
    """
    if len(structure) == 1:
        return np.asarray(structure.frac_coords[0]) % 1.0
    distances = structure.distance_matrix.copy()
    np.fill_diagonal(distances, np.inf)
    return np.asarray(structure.frac_coords[int(np.argmax(distances.min(axis=1)))]) % 1.0


def matching_origin(generated: Structure, relaxed: Structure, origin: np.ndarray) -> np.ndarray:
    """Return the origin of the relaxed crystal: moved with the atom that sits at the origin before."""
    if len(generated) != len(relaxed):
        return origin if len(relaxed) == 0 else best_origin(relaxed)
    offset = np.asarray(generated.frac_coords) - origin
    site = int(np.argmin(np.abs(offset - np.round(offset)).sum(axis=1)))
    return np.asarray(relaxed.frac_coords[site])


def upright(structure: Structure) -> Structure:
    """Return the crystal turned so that equal cells lie equally, whatever their cartesian axes were."""
    from pymatgen.core import Lattice, Structure

    lattice = Lattice.from_parameters(*structure.lattice.abc, *structure.lattice.angles)
    return Structure(lattice, structure.species, structure.frac_coords)


def build_scene(structure: Structure, origin: np.ndarray) -> Scene:
    """Choose atoms, bonds and polyhedra of the cell that starts at a fractional ``origin``."""
    cell = np.asarray(structure.lattice.matrix)
    frac = (np.asarray(structure.frac_coords) - origin + EDGE) % 1.0 - EDGE
    site_symbols = [site.specie.symbol for site in structure]
    atoms: dict[tuple[int, tuple[int, ...]], int] = {}

    def add(site: int, image: tuple[int, ...]) -> int:
        return atoms.setdefault((site, image), len(atoms))

    for site, point in enumerate(frac):
        choices = [(0, 1) if abs(x) <= 2 * EDGE else (0,) for x in point]
        for corner in product(*choices):
            add(site, corner)
    bonds: list[tuple[int, int]] = []
    polyhedra: list[tuple[int, np.ndarray]] = []
    neighbours = find_bonds(cell, frac, site_symbols)
    # Shells are completed beyond the cell around centres inside it; a centre on the boundary, which is drawn at
    # every corner, gets its shell completed once, and only where there is no centre inside.
    interior = [all(EDGE < x < 1 - EDGE for x in point) for point in frac]
    central = [is_centre(site, neighbours, site_symbols) for site in range(len(frac))]
    lonely = not any(i and c for i, c in zip(interior, central, strict=True))
    whole = [i or lonely for i in interior]
    for (site, image), index in list(atoms.items()):
        centre = central[site]
        inside = whole[site] and not any(image)
        shell = []
        for other, shift in neighbours[site]:
            key = (other, tuple(int(a + b) for a, b in zip(image, shift, strict=True)))
            if key in atoms or (centre and inside):
                shell.append(add(*key))
                if (shell[-1], index) not in bonds:
                    bonds.append((index, shell[-1]))
        if centre and inside and len(shell) in POLYHEDRON:
            corners = np.array([(frac[s] + i) @ cell for (s, i), n in atoms.items() if n in shell])
            triangles = hull(corners)
            if triangles is not None:
                polyhedra.append((index, triangles))
    positions = np.array([(frac[site] + image) @ cell for site, image in atoms])
    return Scene(cell, [site_symbols[site] for site, _ in atoms], positions, bonds, polyhedra)


def find_bonds(cell: np.ndarray, frac: np.ndarray, symbols: list[str]) -> list[list[tuple[int, tuple[int, ...]]]]:
    """Return, for each site, its bonded (site, image) pairs.

    Two atoms are bonded where their distance is short for both of them. Like atoms bond only in elements.
    """
    images = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    vectors = (frac[None, None] + images[:, None, None] - frac[None, :, None]) @ cell  # (27, from, to, 3)
    distance = np.linalg.norm(vectors, axis=-1)
    distance[distance < 1e-6] = np.inf
    shortest = distance.min(axis=(0, 2))
    longest = BOND_FACTOR * np.minimum(shortest[:, None], shortest[None, :])
    elemental = len(set(symbols)) == 1
    result: list[list[tuple[int, tuple[int, ...]]]] = [[] for _ in symbols]
    for k, i, j in np.argwhere(distance <= longest[None]):
        if elemental or symbols[i] != symbols[j]:
            result[i].append((int(j), tuple(int(x) for x in images[k])))
    return result


def is_centre(site: int, neighbours: list[list[tuple[int, tuple[int, ...]]]], symbols: list[str]) -> bool:
    """Return whether a site is the less electronegative centre of a shell of ligands."""
    from pymatgen.core import Element

    ligands = {symbols[other] for other, _ in neighbours[site]}
    own = Element(symbols[site]).X
    return bool(ligands) and all(own < Element(ligand).X for ligand in ligands)


def hull(points: np.ndarray) -> np.ndarray | None:
    """Return the triangles (T, 3, 3) of the convex hull, or None where the points lie in a plane."""
    from scipy.spatial import ConvexHull, QhullError

    try:
        return points[ConvexHull(points).simplices]
    except (QhullError, ValueError):
        return None
