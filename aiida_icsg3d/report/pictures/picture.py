"""The one picture of a run: field, generated crystal and relaxed crystal of the best candidates, by matplotlib.

No browser and no GPU is needed. plotly could draw its own figures to a file only with a Chrome installed (kaleido 1);
matplotlib's 3-D axes sort whole objects, which cuts balls, bonds and polyhedra wrongly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .crystal import best_origin, build_scene, element_colour, matching_origin
from .field import surface_meshes
from .mesh import Mesh, cell_mesh, scene_meshes
from .paint import paint, save_softened, view_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pymatgen.core import Structure

PANEL = 2.9  # inches
DPI = 200
MARGIN = 0.75  # Å around the cell


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


def size_in_view(cell: np.ndarray) -> float:
    """Return the side (Å) of the square that holds the cell as it is drawn."""
    corners = np.stack(np.meshgrid(*[[0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3) @ cell
    return float(np.ptp(corners @ view_of(cell)[:2].T, axis=0).max())


def draw_picture(panels: list[Panel], path: Path, title: str = "", dpi: int | None = None, detail: int = 4) -> Path:
    """Draw a row for each candidate and write the PNG.

    :param detail: of the balls; 3 is enough for small pictures.

    :raises ValueError: there is no candidate to draw.
    """
    if not panels:
        raise ValueError("no candidate to draw: the run rebuilt none that is in the graph")
    from matplotlib.figure import Figure

    rows, columns = len(panels), 3
    header, footer, label = (0.62 if title else 0.32), 0.34, 0.68
    height = header + footer + rows * (PANEL + label)
    figure = Figure(figsize=(columns * PANEL + 0.3, height), facecolor="white")
    heads = (
        "field" if any(panel.values is None for panel in panels) else "generated field",
        "generated crystal",
        "after DFT relaxation",
    )
    for row, panel in enumerate(panels):
        drawn = [panel.generated, *([panel.relaxed] if panel.relaxed else [])]
        extent = max(size_in_view(np.asarray(s.lattice.matrix)) for s in drawn)  # one scale for the row
        notes = [panel.field_note, panel.generated_note, panel.relaxed_note]
        for column, ((crystal, meshes), note) in enumerate(zip(drawings(panel, detail), notes, strict=True)):
            bottom = footer + (rows - 1 - row) * (PANEL + label)
            width = columns * PANEL + 0.3
            place = ((0.15 + column * PANEL) / width, (bottom + label) / height, PANEL / width, PANEL / height)
            axes = figure.add_axes(place)
            show(axes, note, heads[column] if row == 0 else "", crystal is None)
            if crystal is not None:
                cell = np.asarray(crystal.lattice.matrix)
                half = extent / 2 + MARGIN
                axes.set(xlim=(-half, half), ylim=(-half, half))
                paint(axes, meshes, view_of(cell), cell.sum(axis=0) / 2)
    if title:
        figure.text(0.5, 1 - 0.16 / height, title, ha="center", va="top", fontsize=12, weight="bold", color="#1f2430")
    draw_legend(figure, panels, height)
    save_softened(figure, path, dpi or DPI)
    return path


def drawings(panel: Panel, detail: int) -> list[tuple[Structure | None, list[Mesh]]]:
    """Return what is drawn in the three columns of a row, and in the cell of which crystal; balls with ``detail``."""
    generated, relaxed = panel.generated, panel.relaxed
    origin = best_origin(generated)
    field = [cell_mesh(generated.lattice.matrix, 24), *surface_meshes(generated, panel.values, origin)]
    row: list[tuple[Structure | None, list[Mesh]]] = [
        (generated, field),
        (generated, scene_meshes(build_scene(generated, origin), detail)),
    ]
    if relaxed is None:
        return [*row, (None, [])]
    return [*row, (relaxed, scene_meshes(build_scene(relaxed, matching_origin(generated, relaxed, origin)), detail))]


def show(axes: Axes, note: str, head: str, empty: bool) -> None:
    """Write the label below and the heading above a drawing; where there is none, the label stands in its place."""
    axes.set_axis_off()
    style: dict[str, Any] = {"transform": axes.transAxes, "ha": "center", "fontsize": 9.5, "linespacing": 1.4}
    if empty:
        axes.text(0.5, 0.5, note, va="center", color="#8a93a3", **style)
    else:
        axes.text(0.5, -0.01, note, va="top", color="#1f2430", **style)
    if head:
        axes.text(0.5, 1.0, head, va="bottom", color="#4a5263", **(style | {"fontsize": 11}))


def draw_legend(figure: Figure, panels: list[Panel], height: float) -> None:
    """Draw the colours of the elements at the foot of the figure."""
    symbols = list(dict.fromkeys(site.specie.symbol for panel in panels for site in panel.generated))
    handles = []
    from matplotlib.lines import Line2D

    for symbol in symbols:
        marker: dict[str, Any] = {
            "marker": "o",
            "markersize": 8.5,
            "markeredgecolor": "#4a5263",
            "markeredgewidth": 0.6,
        }
        colour = tuple(element_colour(symbol))
        handles.append(Line2D([], [], linestyle="", label=symbol, markerfacecolor=colour, **marker))
    figure.legend(handles=handles, loc="lower center", ncol=len(handles), frameon=False, fontsize=9.5,
                  handletextpad=0.1, columnspacing=1.2, bbox_to_anchor=(0.5, 0.02 / height))  # fmt: skip
