"""The one picture of a run: field, generated crystal and relaxed crystal of the best candidates."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .crystal import Scene, best_origin, build_scene, element_colour, element_radius
from .isosurface import Field, draw_field, periodic_gaussians, refine
from .render import Camera, Canvas, look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pymatgen.core import Structure

SIGMA = 0.45  # Å, width of the occupancy of one atom
LEVEL = 0.35  # occupancy (1 at the centre of an atom) at which the surface is drawn
GRID = 48  # least grid points along an axis of a field that is drawn
VIEW = {"azimuth": 24.0, "elevation": 15.0}
PANEL = 2.9  # inches
DPI = 200
OVERSAMPLING = 2
EDGE_COLOUR = np.array([0.25, 0.27, 0.32])


@dataclass(frozen=True)
class Panel:
    """One candidate in the picture.

    :param generated: the crystal that was rebuilt from the generated field.
    :param relaxed: the crystal after DFT, None where there is none.
    :param field_note: label under the field.
    :param generated_note: label under the generated crystal.
    :param relaxed_note: label under the relaxed crystal, or the reason why there is none.
    :param values: (n, n, n) generated occupancy; None computes the field of the rebuilt crystal.
    """

    generated: Structure
    relaxed: Structure | None
    field_note: str
    generated_note: str
    relaxed_note: str
    values: np.ndarray | None = None


def mathtext_formula(formula: str) -> str:
    """Return a formula with lowered numbers, for matplotlib."""
    return re.sub(r"(?<=[A-Za-z)\]])(\d+(?:\.\d+)?)", r"$_{\1}$", plain(formula))


def mathtext_spacegroup(symbol: str) -> str:
    """Return a Hermann-Mauguin symbol in italics with bars and screw axes, for matplotlib."""
    symbol = re.sub(r"_(\d)", r"_{\1}", plain(symbol))
    return "$" + re.sub(r"-(\d)", r"\\bar{\1}", symbol) + "$"


def plain(text: str) -> str:
    """Return the characters of a formula or symbol, without what mathtext would interpret."""
    return re.sub(r"[^A-Za-z0-9_.()\[\]/+\- ]", "", str(text))


def occupancy(structure: Structure, values: np.ndarray | None = None) -> Field:
    """Return the field of a crystal, 1 at the centre of an atom: the given one, or computed from its sites."""
    cell = np.asarray(structure.lattice.matrix)
    if values is None:
        frac = np.asarray(structure.frac_coords)
        values = periodic_gaussians(cell, frac, np.ones(len(frac)), GRID, SIGMA)
    return Field(refine(np.asarray(values, dtype=np.float64), GRID), cell)


def camera_for(cell: np.ndarray, points: np.ndarray, pixels: int, margin: float, extent: float) -> Camera:
    """Return a camera that shows a cell from the front, slightly turned, with its third vector upright."""
    rotation = look(**VIEW, upright=None)
    # turn crystal axes so that a points to the viewer, c upwards, whatever the orientation of the cell
    a, c = cell[0] / np.linalg.norm(cell[0]), cell[2]
    up = c - (c @ a) * a
    up /= np.linalg.norm(up)
    frame = np.stack([a, np.cross(up, a), up])
    return Camera(rotation @ frame, cell.sum(axis=0) / 2, pixels / (extent + 2 * margin), (pixels, pixels))


def size_in_view(cell: np.ndarray) -> float:
    """Return the side (Å) of the square that holds the cell as it is drawn."""
    corners = np.stack(np.meshgrid(*[[0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3) @ cell
    view = camera_for(cell, corners, 100, 0, 1).view(corners)
    return float(np.ptp(view[:, :2], axis=0).max())


def draw_edges(canvas: Canvas, cell: np.ndarray, radius: float) -> None:
    """Draw the twelve edges of the cell."""
    corners = np.stack(np.meshgrid(*[[0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    for i, first in enumerate(corners):
        for second in corners[i + 1 :]:
            if np.abs(first - second).sum() == 1:
                canvas.rod(first @ cell, second @ cell, radius, EDGE_COLOUR, flat=True)


def draw_scene(canvas: Canvas, scene: Scene) -> None:
    """Draw balls, bonds, polyhedra and the cell."""
    draw_edges(canvas, scene.cell, 0.024)
    colours = [element_colour(s) for s in scene.symbols]
    radii = [element_radius(s) for s in scene.symbols]
    for position, radius, colour in zip(scene.positions, radii, colours, strict=True):
        canvas.sphere(position, radius, colour)
    for i, j in scene.bonds:
        middle = (scene.positions[i] + scene.positions[j]) / 2
        canvas.rod(scene.positions[i], middle, 0.085, colours[i])
        canvas.rod(middle, scene.positions[j], 0.085, colours[j])
    towards = canvas.camera.rotation[2]
    for index, triangles in sorted(scene.polyhedra, key=lambda p: float(p[1].mean(axis=(0, 1)) @ towards)):
        canvas.facets(triangles, colours[index], 0.26)
        for triangle in triangles:
            for start, end in pairwise([*triangle, triangle[0]]):
                canvas.rod(start, end, 0.012, 0.6 * colours[index], flat=True)


def render_field(panel: Panel, origin: np.ndarray, pixels: int, extent: float) -> np.ndarray:
    """Return the image (P, P, 4) of the field of a candidate."""
    field = occupancy(panel.generated, panel.values)
    canvas = Canvas(camera_for(field.cell, field.cell, pixels * OVERSAMPLING, 0.75, extent))
    colours = np.array([element_colour(site.specie.symbol) for site in panel.generated])
    draw_field(canvas, field, LEVEL, np.asarray(panel.generated.frac_coords), colours, origin)
    draw_edges(canvas, field.cell, 0.024)
    return canvas.image(OVERSAMPLING)


def render_crystal(structure: Structure, origin: np.ndarray, pixels: int, extent: float) -> np.ndarray:
    """Return the image (P, P, 4) of a crystal."""
    scene = build_scene(structure, origin)
    canvas = Canvas(camera_for(scene.cell, scene.positions, pixels * OVERSAMPLING, 0.75, extent))
    draw_scene(canvas, scene)
    return canvas.image(OVERSAMPLING)


def draw_picture(panels: list[Panel], path: Path, title: str = "") -> Path:
    """Draw a row for each candidate and write the PNG.

    :raises ValueError: there is no candidate to draw.
    """
    if not panels:
        raise ValueError("no candidate to draw: the run rebuilt none that is in the graph")
    from matplotlib.figure import Figure

    rows, columns = len(panels), 3
    header, footer, label = (0.62 if title else 0.32), 0.34, 0.68
    height = header + footer + rows * (PANEL + label)
    figure = Figure(figsize=(columns * PANEL + 0.3, height), dpi=DPI, facecolor="white")
    heads = (
        "field" if any(panel.values is None for panel in panels) else "generated field",
        "generated crystal",
        "after DFT relaxation",
    )
    for row, panel in enumerate(panels):
        drawn = [panel.generated, *([panel.relaxed] if panel.relaxed else [])]
        extent = max(size_in_view(np.asarray(s.lattice.matrix)) for s in drawn)  # one scale for the row
        origin = best_origin(panel.generated)
        pixels = int(PANEL * DPI)
        images: list[Any] = [
            render_field(panel, origin, pixels, extent),
            render_crystal(panel.generated, origin, pixels, extent),
            render_crystal(panel.relaxed, relaxed_origin(panel, origin), pixels, extent) if panel.relaxed else None,
        ]
        notes = [panel.field_note, panel.generated_note, panel.relaxed_note]
        for column, (image, note) in enumerate(zip(images, notes, strict=True)):
            bottom = footer + (rows - 1 - row) * (PANEL + label)
            axes = figure.add_axes(
                (
                    (0.15 + column * PANEL) / (columns * PANEL + 0.3),
                    (bottom + label) / height,
                    PANEL / (columns * PANEL + 0.3),
                    PANEL / height,
                )
            )
            show(axes, image, note, heads[column] if row == 0 else "")
    if title:
        figure.text(
            0.5,
            1 - 0.16 / height,
            title,
            ha="center",
            va="top",
            fontsize=12,
            fontweight="bold",
            color="#1f2430",
        )
    draw_legend(figure, panels, height)
    figure.savefig(path)
    return path


def relaxed_origin(panel: Panel, origin: np.ndarray) -> np.ndarray:
    """Return the origin of the relaxed crystal, moved with the atom that sits at the origin before."""
    before, after = panel.generated, panel.relaxed
    if after is None or len(before) != len(after):
        return origin
    offset = np.asarray(before.frac_coords) - origin
    site = int(np.argmin(np.abs(offset - np.round(offset)).sum(axis=1)))
    return np.asarray(after.frac_coords[site])


def show(axes: Axes, image: np.ndarray | None, note: str, head: str) -> None:
    """Show one image with its label below and its heading above; without an image the label alone."""
    axes.set_axis_off()
    style: dict[str, Any] = {"transform": axes.transAxes, "ha": "center", "fontsize": 9.5, "linespacing": 1.4}
    if image is None:
        axes.text(0.5, 0.5, note, va="center", color="#8a93a3", **style)
    else:
        axes.imshow(image, interpolation="antialiased")
        axes.text(0.5, -0.01, note, va="top", color="#1f2430", **style)
    if head:
        axes.text(0.5, 1.0, head, va="bottom", color="#4a5263", **(style | {"fontsize": 11}))


def draw_legend(figure: Figure, panels: list[Panel], height: float) -> None:
    """Draw the colours of the elements at the foot of the figure."""
    symbols = list(dict.fromkeys(site.specie.symbol for panel in panels for site in panel.generated))
    handles = []
    from matplotlib.lines import Line2D

    for symbol in symbols:
        handles.append(
            Line2D(
                [],
                [],
                marker="o",
                linestyle="",
                markersize=8.5,
                label=symbol,
                markerfacecolor=tuple(element_colour(symbol)),
                markeredgecolor="#4a5263",
                markeredgewidth=0.6,
            )
        )
    figure.legend(
        handles=handles,
        loc="lower center",
        ncol=len(handles),
        frameon=False,
        fontsize=9.5,
        handletextpad=0.1,
        columnspacing=1.2,
        bbox_to_anchor=(0.5, 0.02 / height),
    )
