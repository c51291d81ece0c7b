"""The provenance graph of one candidate, from dataset and models to the relaxed crystal, as SVG and PNG."""

from __future__ import annotations

import shutil
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiida.orm import Node, StructureData

    from ..candidates import Step

COLOURS = {"dataset": "#c9b6e4", "model": "#f7c873", "base": "#bfe3c0", "crystal": "#8ccf8e", "symmetrised": "#bfe3c0",
           "relaxed": "#5bb98c", "process": "#dd7a70", "file": "#e3e6ec"}  # fmt: skip
WIDTH, GAP = 2.15, 1.05  # of a box, and between layers, in inches


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
    """Return the steps that lie on the way to a structure; the screening, a side branch, stays as well."""
    from aiida.orm import Node, QueryBuilder

    query = QueryBuilder().append(Node, filters={"id": structure.pk}, tag="end")
    query.append(Node, with_descendants="end", project=["id"])
    ancestors = {structure.pk, *query.all(flat=True)}
    aside = {step.node.pk for step in steps if step.stage in ("screen", "model", "dataset", "train", "prepare")}
    return [step for step in steps if step.node.pk in ancestors | aside]


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
        first = f"{step.stage} {node.get_formula('hill_compact')}"
    elif kind_of(step.stage) == "process":
        first = str(node.process_label or step.stage)
    else:
        first = f"{step.stage} (folder)"
    return f"{first[:30]}\nPK {node.pk} · {node.uuid[:8]}"


def draw_provenance(structure: StructureData, svg: Path, png: Path) -> str:
    """Draw the history of a crystal; return which program drew it.

    Graphviz draws it by AiiDA's own style where `dot` is installed, else matplotlib does.
    """
    from ..candidates import lineage

    steps = path_to(lineage(structure, files=True), structure)
    edges = edges_between([step.node for step in steps])
    linked = {pk for source, target, _ in edges for pk in (source, target)}
    steps = [step for step in steps if step.node.pk in linked or step.node.pk == structure.pk]
    if shutil.which("dot"):
        return with_graphviz(steps, edges, svg, png)
    return with_matplotlib(steps, edges, svg, png)


def with_graphviz(steps: list[Step], edges: list[tuple[int, int, str]], svg: Path, png: Path) -> str:
    """Draw with AiiDA's Graph."""
    from aiida.common.links import LinkType
    from aiida.orm import ProcessNode
    from aiida.orm.utils.links import LinkPair
    from aiida.tools.visualization import Graph

    graph = Graph(graph_attr={"rankdir": "LR"}, node_id_type="pk")
    by_pk = {step.node.pk: step.node for step in steps}
    for step in steps:
        graph.add_node(step.node)
    for source, target, label in edges:
        kind = LinkType.INPUT_CALC if isinstance(by_pk[target], ProcessNode) else LinkType.CREATE
        graph.add_edge(by_pk[source], by_pk[target], LinkPair(kind, label))
    for path in (svg, png):
        path.write_bytes(graph.graphviz.pipe(format=path.suffix[1:]))
    return "graphviz"


def layers_of(steps: list[Step], edges: list[tuple[int, int, str]]) -> dict[int, int]:
    """Return pk -> layer: inputs stand just left of what first uses them, everything else right of its sources."""
    incoming, outgoing = defaultdict(list), defaultdict(list)
    for source, target, _ in edges:
        incoming[target].append(source)
        outgoing[source].append(target)
    layer: dict[int, int] = {}

    def place(pk: int) -> int:
        if pk not in layer:
            layer[pk] = 1 + max((place(source) for source in incoming[pk]), default=-1)
        return layer[pk]

    for step in steps:
        place(step.node.pk)
    for step in steps:
        pk = step.node.pk
        if not incoming[pk] and outgoing[pk]:
            layer[pk] = max(0, min(layer[target] for target in outgoing[pk]) - 1)
    return layer


def with_matplotlib(steps: list[Step], edges: list[tuple[int, int, str]], svg: Path, png: Path) -> str:
    """Draw boxes in layers from left to right, wrapped at no point, with the lines of the links between them."""
    from matplotlib.figure import Figure

    layer = layers_of(steps, edges)
    columns: dict[int, list[Step]] = defaultdict(list)
    for step in steps:
        columns[layer[step.node.pk]].append(step)
    deepest = max(len(column) for column in columns.values())
    places: dict[int, tuple[float, float]] = {}
    sources: dict[int, list[int]] = defaultdict(list)
    for source, target, _ in edges:
        sources[target].append(source)
    for x, column in sorted(columns.items()):
        # order by where the sources stand, so that lines cross little
        def height(step: Step) -> float:
            known = [places[s][1] for s in sources[step.node.pk] if s in places]
            return -sum(known) / len(known) if known else 0.0

        for y, step in enumerate(sorted(column, key=height)):
            places[step.node.pk] = (x * (WIDTH + GAP), ((len(column) - 1) / 2 - y) * 1.05)
    width, tall = (max(columns) + 1) * (WIDTH + GAP), deepest * 1.05 + 0.3
    figure = Figure(figsize=(width, tall), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(-WIDTH / 2 - GAP / 2, width - WIDTH / 2 - GAP / 2)
    axes.set_ylim(-tall / 2, tall / 2)
    for source, target, label in edges:
        draw_arrow(axes, places[source], places[target], label)
    for step in steps:
        draw_box(axes, step, places[step.node.pk])
    figure.savefig(svg)
    figure.savefig(png, dpi=110)
    return "matplotlib"


def draw_arrow(axes: Any, start: tuple[float, float], end: tuple[float, float], label: str) -> None:
    """Draw one link with its label."""
    from matplotlib.patches import FancyArrowPatch

    (x0, y0), (x1, y1) = start, end
    a, b = (x0 + WIDTH / 2, y0), (x1 - WIDTH / 2, y1)
    bend = 0.0 if abs(y1 - y0) < 0.1 and x1 - x0 < 1.5 * (WIDTH + GAP) else 0.16
    axes.add_patch(FancyArrowPatch(a, b, arrowstyle="-|>", mutation_scale=11, color="#7b8494", linewidth=1.1,
                                   connectionstyle=f"arc3,rad={bend}", zorder=1))  # fmt: skip
    axes.text(b[0] - 0.12, b[1] + 0.06 + 0.2 * (y0 > y1 + 0.1), label.split("__")[0][:18], fontsize=6.5,
              color="#5d6675", ha="right", zorder=3)  # fmt: skip


def draw_box(axes: Any, step: Step, place: tuple[float, float]) -> None:
    """Draw one node: data round, calculations square."""
    from matplotlib.patches import FancyBboxPatch

    kind = kind_of(step.stage)
    style = "square,pad=0" if kind == "process" else "round,pad=0,rounding_size=0.18"
    x, y = place
    axes.add_patch(FancyBboxPatch((x - WIDTH / 2, y - 0.3), WIDTH, 0.6, boxstyle=style, facecolor=COLOURS[kind],
                                  edgecolor="#3a4150", linewidth=1.0, zorder=2))  # fmt: skip
    axes.text(x, y, caption(step), ha="center", va="center", fontsize=8.2, color="#1f2430", zorder=4)
