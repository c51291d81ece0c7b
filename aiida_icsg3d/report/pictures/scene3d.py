"""Fields and crystals as plotly figures that turn under the mouse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .crystal import Scene, best_origin, build_scene, element_colour, element_radius
from .isosurface import Field, nearest_site
from .picture import LEVEL, occupancy

if TYPE_CHECKING:
    from pymatgen.core import Structure

CELL_LINE = {"color": "#4a5263", "width": 3}


def rgb(symbol: str) -> str:
    """Return the colour of an element for plotly."""
    return "rgb({},{},{})".format(*(element_colour(symbol) * 255).astype(int))


def mesh_of(field: Field, level: float, origin: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return vertices (V, 3) fractional and faces (F, 3) of an isosurface in the cell that starts at ``origin``.

    None where the field nowhere crosses the level. Needs scikit-image.
    """
    from skimage.measure import marching_cubes

    n = field.values.shape
    axes = [np.linspace(0, 1, size + 1) for size in n]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    values = field.at(grid + origin)
    if not values.min() < level < values.max():
        return None
    # one layer of zeros around closes the surface at the faces of the cell
    padded = np.pad(values, 1, constant_values=min(0.0, float(values.min())))
    vertices, faces, _, _ = marching_cubes(padded, level)
    return np.clip((vertices - 1) / np.array(n), 0, 1), faces


def field_traces(structure: Structure, values: np.ndarray | None, origin: np.ndarray) -> list[Any]:
    """Return the surface of the occupancy of a crystal, a Mesh3d for each element, told by the nearest site."""
    import plotly.graph_objects as go

    field = occupancy(structure, values)
    mesh = mesh_of(field, LEVEL, origin)
    if mesh is None:
        return []
    vertices, faces = mesh
    owner = nearest_site(field.cell, np.asarray(structure.frac_coords), vertices + origin)
    symbols = np.array([site.specie.symbol for site in structure])[owner][faces[:, 0]]
    points = (vertices @ field.cell).astype(np.float32)
    traces = []
    for symbol in dict.fromkeys(symbols.tolist()):
        used, index = np.unique(faces[symbols == symbol], return_inverse=True)
        x, y, z = points[used].T
        i, j, k = index.reshape(-1, 3).astype(np.int32).T
        traces.append(
            go.Mesh3d(x=x, y=y, z=z, i=i, j=j, k=k, color=rgb(symbol), opacity=0.55, hoverinfo="skip",
                      lighting={"ambient": 0.55, "diffuse": 0.6, "specular": 0.25}, name=f"field of {symbol}")
        )  # fmt: skip
    return traces


def cell_trace(cell: np.ndarray) -> Any:
    """Return the twelve edges of the cell as one line."""
    import plotly.graph_objects as go

    corners = np.stack(np.meshgrid(*[[0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    points: list[list[float | None]] = []
    for n, first in enumerate(corners):
        for second in corners[n + 1 :]:
            if np.abs(first - second).sum() == 1:
                points += [list(first @ cell), list(second @ cell), [None] * 3]
    x, y, z = zip(*points, strict=True)
    return go.Scatter3d(x=x, y=y, z=z, mode="lines", line=CELL_LINE, hoverinfo="skip", showlegend=False)


def crystal_traces(scene: Scene, size: float) -> list[Any]:
    """Return bonds and one trace of balls for each element.

    :param size: pixels for each Å of the radius of a ball.
    """
    import plotly.graph_objects as go

    points: list[list[float | None]] = []
    for i, j in scene.bonds:
        points += [list(scene.positions[i]), list(scene.positions[j]), [None] * 3]
    traces = []
    if points:
        x, y, z = zip(*points, strict=True)
        traces.append(go.Scatter3d(x=x, y=y, z=z, mode="lines", line={"color": "#a3aab6", "width": 6},
                                   hoverinfo="skip", showlegend=False))  # fmt: skip
    for symbol in dict.fromkeys(scene.symbols):
        x, y, z = scene.positions[[s == symbol for s in scene.symbols]].T
        ball = {"size": size * element_radius(symbol), "color": rgb(symbol), "line": {"color": "#3a4150", "width": 1}}
        hover = symbol + "  %{x:.3f}, %{y:.3f}, %{z:.3f} Å<extra></extra>"
        traces.append(go.Scatter3d(x=x, y=y, z=z, mode="markers", name=symbol, marker=ball, hovertemplate=hover))
    return traces


def crystal_figure(structure: Structure, values: np.ndarray | None = None, with_field: bool = True) -> Any:
    """Return a figure of a crystal, with its field where scikit-image is installed."""
    import plotly.graph_objects as go

    origin = best_origin(structure)
    scene = build_scene(structure, origin)
    traces = [cell_trace(scene.cell), *crystal_traces(scene, 13 if with_field else 26)]
    if with_field:
        traces += field_traces(structure, values, origin)
    figure = go.Figure(traces)
    hidden = {"visible": False, "showbackground": False}
    figure.update_layout(
        scene={"xaxis": hidden, "yaxis": hidden, "zaxis": hidden, "aspectmode": "data",
               "camera": {"projection": {"type": "orthographic"}, "eye": {"x": 1.6, "y": 0.75, "z": 0.45}}},
        margin={"l": 0, "r": 0, "t": 0, "b": 0}, height=360, legend={"orientation": "h", "y": 0},
        paper_bgcolor="rgba(0,0,0,0)", modebar={"bgcolor": "rgba(0,0,0,0)"},
    )  # fmt: skip
    return figure
