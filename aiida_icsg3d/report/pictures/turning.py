"""Field, generated and relaxed crystal of one candidate in one frame that turns under the mouse, by plotly.

The meshes are those of the picture. Drawn by pymatviz 0.18 a cubic perovskite is 29 kB of markers and lines, without
polyhedra or field, and markers keep their size when one zooms; it also brings 12 packages.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from .crystal import best_origin, build_scene, matching_origin, upright
from .field import surface_meshes
from .mesh import Mesh, cell_mesh, scene_meshes

if TYPE_CHECKING:
    from pymatgen.core import Structure

DETAIL, SPLITS, GRID = 2, 0, 32  # coarser than in the picture: light and sorting are the browser's
LIGHTING = {"ambient": 0.55, "diffuse": 0.6, "specular": 0.25, "roughness": 0.4}
FIELD_OPACITY = 0.8


def traces(part: str, meshes: list[Mesh], opacity: float = 1.0) -> Iterator[Any]:
    """Yield a Mesh3d for each mesh; ``meta`` tells which part of the candidate it belongs to."""
    import plotly.graph_objects as go

    for one in meshes:
        x, y, z = one.points.astype(np.float32).T
        i, j, k = one.faces.astype(np.uint16 if len(one.points) < 2**16 else np.uint32).T
        red, green, blue = (255 * one.colours.mean(axis=0)).astype(int)
        yield go.Mesh3d(x=x, y=y, z=z, i=i, j=j, k=k, color=f"rgb({red},{green},{blue})", name=one.name, meta=part,
                        opacity=opacity * one.alpha, flatshading=not bool(one.lit.all()), hoverinfo="name",
                        lighting=LIGHTING)  # fmt: skip


def turning_figure(generated: Structure, relaxed: Structure | None, values: np.ndarray | None) -> Any:
    """Return the figure; what is shown of it at first is the relaxed crystal, or the generated one where there is none.

    :param relaxed: in the setting of the generated crystal.
    :param values: (nx, ny, nz) generated occupancy; None draws the field of the rebuilt crystal.
    """
    import plotly.graph_objects as go

    generated = upright(generated)
    origin = best_origin(generated)

    def crystal(structure: Structure, corner: np.ndarray) -> list[Mesh]:
        return scene_meshes(build_scene(structure, corner), DETAIL, SPLITS)

    parts = [*traces("generated", crystal(generated, origin))]
    if find_spec("skimage") is not None:
        surface = surface_meshes(generated, values, origin, GRID)
        parts += [*traces("field", [cell_mesh(generated.lattice.matrix, 1)]), *traces("field", surface, FIELD_OPACITY)]
    if relaxed is not None:
        relaxed = upright(relaxed)
        parts += traces("relaxed", crystal(relaxed, matching_origin(generated, relaxed, origin)))
    shown = "generated" if relaxed is None else "relaxed"
    for trace in parts:
        trace.visible = trace.meta == shown
    hidden = {"visible": False, "showbackground": False}
    return go.Figure(parts, {
        "scene": {"xaxis": hidden, "yaxis": hidden, "zaxis": hidden, "aspectmode": "data",
                  "camera": {"projection": {"type": "orthographic"}, "eye": {"x": 0.92, "y": 0.4, "z": 0.28}}},
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0}, "paper_bgcolor": "rgba(0,0,0,0)", "showlegend": False,
        "modebar": {"bgcolor": "rgba(0,0,0,0)"}, "template": None,
    })  # fmt: skip
