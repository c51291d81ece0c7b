"""The provenance graph of one candidate, from dataset and models to the relaxed crystal, as SVG and PNG.

Placed by :mod:`layered` and drawn by matplotlib. AiiDA's own drawing by Graphviz (`verdi node graph generate`) raises
where the program `dot` is not installed, which pip does not bring, and writes formulas like O3PbTi. For the 23 boxes of
a candidate :mod:`layered` takes 21 ms and crosses no line; dot takes 119 ms with its start, and crosses none either.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icsg3d_models.crystals.formulas import chemical_formula

from ...campaigns.lineage import Step, lineage
from .layered import place_layers

if TYPE_CHECKING:
    from aiida.orm import Node, StructureData

COLOURS = {"dataset": "#c9b6e4", "model": "#f7c873", "base": "#bfe3c0", "crystal": "#8ccf8e", "symmetrised": "#bfe3c0",
           "relaxed": "#5bb98c", "process": "#dd7a70", "file": "#e3e6ec"}  # fmt: skip
BOX = (2.0, 0.46)  # width and height of a box, inches
STEP = (2.3, 0.86)  # from box to box, inches


def edges_between(nodes: list[Node]) -> list[tuple[int, int, str]]:
    """Return (pk of source, pk of target, label) of the data links among the nodes."""
    from aiida.common.links import LinkType
    from aiida.orm import Node, QueryBuilder

    pks = [node.pk for node in nodes]
    query = QueryBuilder().append(Node, filters={"id": {"in": pks}}, project=["id"], tag="source")
    query.append(
        Node,
        filters={"id": {"in": pks}},
        project=["id"],
        with_incoming="source",
        edge_project=["label"],
        edge_filters={"type": {"in": [LinkType.INPUT_CALC.value, LinkType.CREATE.value]}},
    )
    return [(source, target, label) for source, target, label in query.iterall()]


def path_to(steps: list[Step], structure: StructureData) -> list[Step]:
    """Return the steps that lie on the way to a structure, and the screening with its models, a side branch."""
    from aiida.orm import Node, QueryBuilder

    screens = [step.node.pk for step in steps if step.stage == "screen"]
    query = QueryBuilder().append(Node, filters={"id": {"in": [structure.pk, *screens]}}, tag="end")
    query.append(Node, with_descendants="end", project=["id"])
    kept = {structure.pk, *screens, *query.distinct().all(flat=True)}
    return [step for step in steps if step.node.pk in kept]


def kind_of(stage: str) -> str:
    """Return the key of :data:`COLOURS` for a stage."""
    if stage in COLOURS:
        return stage
    return "file" if stage in ("fields", "segments", "crystals") else "process"


def caption(step: Step) -> str:
    """Return the two lines in the box of a node."""
    node = step.node
    if step.stage == "model":
        first = f"{node.base.attributes.get('network', '')} model"
    elif step.stage == "dataset":
        first = f"dataset {node.base.attributes.get('name', '')}"
    elif step.stage in ("crystal", "relaxed", "base", "symmetrised"):
        first = f"{step.stage} {chemical_formula(node.get_formula())}"
    elif kind_of(step.stage) == "process":
        first = str(node.process_label or step.stage)
    else:
        first = f"{step.stage} (folder)"
    return f"{first[:30]}\nPK {node.pk} · {node.uuid[:8]}"


def draw_provenance(structure: StructureData, svg: Path, png: Path) -> None:
    """Draw the history of a crystal as boxes in layers from top to bottom; the text of the SVG stays text."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    steps = path_to(lineage(structure, files=True), structure)
    edges = edges_between([step.node for step in steps])
    linked = {pk for source, target, _ in edges for pk in (source, target)}
    steps = [step for step in steps if step.node.pk in linked or step.node.pk == structure.pk]
    places, routes = place_layers([step.node.pk for step in steps], [(a, b) for a, b, _ in edges])
    xs = [x * STEP[0] for route in routes.values() for x, _ in route] or [0.0]
    low, high = min(xs) - BOX[0] / 2 - 0.3, max(xs) + BOX[0] / 2 + 0.3
    tall = (max(y for _, y in places.values()) + 1) * STEP[1]
    figure = Figure(figsize=(high - low, tall), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(low, high)
    axes.set_ylim(-tall + STEP[1] / 2, STEP[1] / 2)
    for source, target, _ in edges:
        draw_line(axes, [(x * STEP[0], -y * STEP[1]) for x, y in routes[source, target]])
    for step in steps:
        x, y = places[step.node.pk]
        draw_box(axes, step, (x * STEP[0], -y * STEP[1]))
    with mpl.rc_context({"svg.fonttype": "none"}):
        figure.savefig(svg)
    figure.savefig(png, dpi=150)


def draw_line(axes: Any, points: list[tuple[float, float]]) -> None:
    """Draw one link as a smooth line that enters and leaves boxes upright."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Curve

    half = BOX[1] / 2
    (x0, y0), (x1, y1) = points[0], points[-1]
    points = [(x0, y0 - half), *points[1:-1], (x1, y1 + half)]
    corners, codes = [points[0]], [Curve.MOVETO]
    for (xa, ya), (xb, yb) in pairwise(points):
        lean = 0.5 * (ya - yb)
        corners += [(xa, ya - lean), (xb, yb + lean), (xb, yb)]
        codes += [Curve.CURVE4] * 3
    axes.add_patch(FancyArrowPatch(path=Curve(corners, codes), arrowstyle="-|>", mutation_scale=10, color="#8c95a5",
                                   linewidth=1.1, zorder=1))  # fmt: skip


def draw_box(axes: Any, step: Step, place: tuple[float, float]) -> None:
    """Draw one node: data round, calculations square."""
    from matplotlib.patches import FancyBboxPatch

    kind = kind_of(step.stage)
    style = "square,pad=0" if kind == "process" else "round,pad=0,rounding_size=0.16"
    (x, y), (width, height) = place, BOX
    axes.add_patch(FancyBboxPatch((x - width / 2, y - height / 2), width, height, boxstyle=style,
                                  facecolor=COLOURS[kind], edgecolor="#3a4150", linewidth=1.0, zorder=2))  # fmt: skip
    axes.text(x, y, caption(step), ha="center", va="center", fontsize=8.2, color="#1f2430", zorder=4)
