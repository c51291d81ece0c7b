"""Crystals as triangles: balls, rods and facets, the one geometry that both the picture and the page draw."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np

from .crystal import Scene, element_colour, element_radius

EDGE_COLOUR = np.array([0.25, 0.27, 0.32])
BOND, EDGE, RIM = 0.085, 0.024, 0.012  # Å, radii of bonds, edges of the cell, and edges of polyhedra
TRANSLUCENT = 0.26  # opacity of polyhedra


@dataclass(frozen=True)
class Mesh:
    """Triangles that belong together.

    :param name: what it is, for the legend.
    :param points: (V, 3) Å.
    :param faces: (F, 3) indices of corners.
    :param normals: (V, 3) unit vectors that point outwards.
    :param colours: (F, 3) in 0..1.
    :param lit: (F,) bool; False: the colour is shown as it is, without light.
    :param alpha: opacity.
    """

    name: str
    points: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    colours: np.ndarray
    lit: np.ndarray
    alpha: float = 1.0


def mesh(name: str, points: np.ndarray, faces: np.ndarray, normals: np.ndarray, colour: np.ndarray, lit: bool = True,
         alpha: float = 1.0) -> Mesh:  # fmt: skip
    """Return a mesh of one colour."""
    return Mesh(name, points, faces, normals, np.tile(colour, (len(faces), 1)), np.full(len(faces), lit), alpha)


def joined(meshes: Iterable[Mesh]) -> list[Mesh]:
    """Return one mesh for each name, in the order of their first."""
    groups: dict[str, list[Mesh]] = {}
    for one in meshes:
        groups.setdefault(one.name, []).append(one)
    result = []
    for name, group in groups.items():
        starts = np.cumsum([0, *(len(one.points) for one in group)])
        faces = np.concatenate([one.faces + start for one, start in zip(group, starts, strict=False)])
        points, normals, colours, lit = (
            np.concatenate([getattr(one, part) for one in group]) for part in ("points", "normals", "colours", "lit")
        )
        result.append(Mesh(name, points, faces, normals, colours, lit, group[0].alpha))
    return result


@cache
def unit_ball(detail: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points and faces of an icosahedron whose faces were split ``detail`` times: 20 x 4^detail faces."""
    from scipy.spatial import ConvexHull

    golden = (1 + 5**0.5) / 2
    points = np.array([[0, a, b * golden] for a in (1, -1) for b in (1, -1)])
    points = np.concatenate([np.roll(points, k, axis=1) for k in range(3)]) / np.hypot(1, golden)
    for _ in range(detail):
        faces = ConvexHull(points).simplices
        middles = np.concatenate([points[faces[:, [a, b]]].mean(axis=1) for a, b in ((0, 1), (1, 2), (2, 0))])
        middles /= np.linalg.norm(middles, axis=1, keepdims=True)
        points = np.unique(np.round(np.concatenate([points, middles]), 12), axis=0)
    return points, outwards(points, ConvexHull(points).simplices)


def outwards(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return faces of a convex body around the origin, each turned so that its corners run counter-clockwise."""
    a, b, c = points[faces].transpose(1, 0, 2)
    inwards = np.einsum("ij,ij->i", np.cross(b - a, c - a), a + b + c) < 0
    return np.where(inwards[:, None], faces[:, ::-1], faces)


def ball(name: str, centre: np.ndarray, radius: float, colour: np.ndarray, detail: int) -> Mesh:
    """Return a ball."""
    points, faces = unit_ball(detail)
    return mesh(name, centre + radius * points, faces, points, colour)


def rod(name: str, start: np.ndarray, end: np.ndarray, radius: float, colour: np.ndarray, lit: bool = True,
        sides: int = 12, pieces: int = 1) -> Mesh:  # fmt: skip
    """Return a cylinder without caps: its ends are meant to lie inside balls or other rods.

    :param pieces: parts along its length; short ones are sorted right among what they pass by.
    """
    axis = (end - start) / max(float(np.linalg.norm(end - start)), 1e-12)
    across = np.cross(axis, np.eye(3)[int(np.argmin(np.abs(axis)))])
    across /= np.linalg.norm(across)
    angle = 2 * np.pi * np.arange(sides) / sides
    ring = np.outer(np.cos(angle), across) + np.outer(np.sin(angle), np.cross(axis, across))
    steps = start + np.outer(np.linspace(0, 1, pieces + 1), end - start)
    points = (steps[:, None] + radius * ring).reshape(-1, 3)
    k, n = np.arange(sides), (np.arange(sides) + 1) % sides
    faces = np.concatenate([
        np.stack(corners, axis=1) + level * sides
        for level in range(pieces)
        for corners in ((k, n, n + sides), (k, n + sides, k + sides))
    ])  # fmt: skip
    return mesh(name, points, faces, np.tile(ring, (pieces + 1, 1)), colour, lit)


def facets(name: str, triangles: np.ndarray, centre: np.ndarray, colour: np.ndarray, splits: int) -> Mesh:
    """Return the translucent faces of a polyhedron.

    :param triangles: (T, 3, 3) Å.
    :param splits: how often each is cut into four, so that they sort right among what they pass through.
    """
    for _ in range(splits):
        a, b, c = triangles.transpose(1, 0, 2)
        ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
        triangles = np.concatenate([np.stack(t, axis=1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])
    normal = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    normal *= np.sign(np.einsum("ij,ij->i", normal, triangles.mean(axis=1) - centre))[:, None]
    faces = np.arange(3 * len(triangles)).reshape(-1, 3)
    return mesh(name, triangles.reshape(-1, 3), faces, np.repeat(normal, 3, axis=0), colour, alpha=TRANSLUCENT)


def cell_mesh(cell: np.ndarray, pieces: int) -> Mesh:
    """Return the twelve edges of a cell (3, 3) in Å."""
    corners = np.stack(np.meshgrid(*[[0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    edges = [(a, b) for n, a in enumerate(corners) for b in corners[n + 1 :] if np.abs(a - b).sum() == 1]
    return joined(
        rod("cell", a @ cell, b @ cell, EDGE, EDGE_COLOUR, lit=False, sides=6, pieces=pieces) for a, b in edges
    )[0]


def scene_meshes(scene: Scene, detail: int = 4, splits: int = 3) -> list[Mesh]:
    """Return the cell, a mesh for each element with its halves of the bonds, and the polyhedra of each element.

    :param detail: of the balls, see :func:`unit_ball`.
    :param splits: of the facets, and of the edges of the cell into 2^splits pieces.
    """
    parts = [cell_mesh(scene.cell, 2**splits)]
    colours = {symbol: element_colour(symbol) for symbol in scene.symbols}
    for symbol, position in zip(scene.symbols, scene.positions, strict=True):
        parts.append(ball(symbol, position, element_radius(symbol), colours[symbol], detail))
    for bond in scene.bonds:
        middle = scene.positions[list(bond)].mean(axis=0)
        for end in bond:
            symbol = scene.symbols[end]
            parts.append(rod(symbol, scene.positions[end], middle, BOND, colours[symbol], pieces=2**splits))
    for index, triangles in scene.polyhedra:
        symbol = scene.symbols[index]
        name = f"polyhedra of {symbol}"
        parts.append(facets(name, triangles, scene.positions[index], colours[symbol], splits))
        for triangle in triangles:
            for start, end in pairwise([*triangle, triangle[0]]):
                rim = f"edges of {name}"
                parts.append(rod(rim, start, end, RIM, 0.6 * colours[symbol], lit=False, sides=4, pieces=2**splits))
    return joined(parts)
