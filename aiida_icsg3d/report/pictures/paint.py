"""Meshes painted from back to front by matplotlib: pictures without a GPU, a browser or a server.

Every triangle is small beside what it passes through, so that sorting by depth puts them right; no perspective.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .mesh import BOND, Mesh

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AMBIENT, DIFFUSE, SPECULAR, SHININESS = 0.46, 0.56, 0.34, 28.0
LIGHT = np.array([-0.42, 0.58, 0.70]) / np.linalg.norm([-0.42, 0.58, 0.70])
HALFWAY = np.array([LIGHT[0], LIGHT[1], LIGHT[2] + 1]) / np.linalg.norm([LIGHT[0], LIGHT[1], LIGHT[2] + 1])
OVERSAMPLING = 2
AZIMUTH, ELEVATION = 24.0, 15.0  # degrees


def view_of(cell: np.ndarray) -> np.ndarray:
    """Return the rotation (3, 3) that shows a cell from the front, slightly turned, with its third vector upright.

    Rows are the directions right, up and towards the viewer. The axes of the crystal are turned first, whatever the
    orientation of the cell, so that a points to the viewer and c upwards.
    """
    a, c = cell[0] / np.linalg.norm(cell[0]), cell[2]
    up = c - (c @ a) * a
    up /= np.linalg.norm(up)
    azimuth, elevation = np.radians([AZIMUTH, ELEVATION])
    flat = np.array([np.cos(azimuth), np.sin(azimuth)])
    towards = np.array([*(np.cos(elevation) * flat), np.sin(elevation)])
    right = np.array([-flat[1], flat[0], 0.0])
    return np.stack([right, np.cross(towards, right), towards]) @ np.stack([a, np.cross(up, a), up])


def shade(colour: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Return lit colours.

    :param colour: (..., 3) in 0..1.
    :param normal: (..., 3) unit vectors in view coordinates.
    """
    diffuse = np.clip(normal @ LIGHT, 0, 1)[..., None]
    shine = np.clip(normal @ HALFWAY, 0, 1)[..., None] ** SHININESS
    rim = np.clip(normal[..., 2:3], 0, 1)
    lit = colour * (AMBIENT + DIFFUSE * diffuse) * (0.62 + 0.38 * np.sqrt(rim))
    return np.clip(lit + SPECULAR * shine, 0, 1)


def paint(axes: Axes, meshes: list[Mesh], rotation: np.ndarray, centre: np.ndarray) -> None:
    """Paint meshes into axes whose unit is the Å; the centre (3,) is painted at (0, 0)."""
    from matplotlib.collections import PolyCollection

    corners, colours, depths = [], [], []
    for one in meshes:
        triangles = ((one.points - centre) @ rotation.T)[one.faces]  # (F, 3 corners, 3)
        normal = one.normals[one.faces].mean(axis=1) @ rotation.T
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
        sides = np.diff(triangles[:, :, :2], axis=1)  # (F, 2 sides, 2)
        seen = (np.linalg.det(sides) > 0) | (one.alpha < 1)  # the back of what is closed and opaque is hidden
        facing = normal * np.where(normal[:, 2:] < 0, -1, 1)
        colour = np.where(one.lit[:, None], shade(one.colours, facing), one.colours)
        # a polyhedron lies around its bonds: its front before them, its back behind them
        lead = np.sign(normal[:, 2]) * (2.5 * BOND if one.alpha < 1 else 0)
        corners.append(triangles[seen])
        depths.append((triangles[:, :, 2].mean(axis=1) + lead)[seen])
        colours.append(np.column_stack([colour, np.full(len(colour), one.alpha)])[seen])
    triangles, rgba = np.concatenate(corners), np.concatenate(colours)
    order = np.argsort(np.concatenate(depths), kind="stable")
    # Hard edges for what is opaque: softened ones let the seams between triangles shine through; the whole picture is
    # softened instead. Hard triangles share the pixels of their seams, which would show in what is translucent.
    flat: Any = triangles[order, :, :2]
    axes.add_collection(
        PolyCollection(flat, facecolors=rgba[order], edgecolors="none", antialiaseds=rgba[order, 3] < 1),
        autolim=False,
    )


def save_softened(figure: Figure, path: Path, dpi: int) -> None:
    """Write a PNG whose pixels are means of :data:`OVERSAMPLING` squared ones."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure.set_dpi(OVERSAMPLING * dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()).reduce(OVERSAMPLING).save(path)
