"""Draw docs/images/architecture.svg from the imports: rooms on their floors, arrows from who imports to what.

python docs/draw_architecture.py        (needs graphviz with its program `dot`)
"""

from __future__ import annotations

import sys
from pathlib import Path

import graphviz

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from tests.test_architecture import FLOORS, imports, room  # noqa: E402


def draw() -> graphviz.Digraph:
    """Return the picture of both packages."""
    picture = graphviz.Digraph("architecture", node_attr={"shape": "box", "fontname": "Helvetica", "fontsize": "11"})
    picture.attr(rankdir="BT", nodesep="0.15", ranksep="0.45")
    for package, floors in FLOORS.items():
        graph = imports(package)
        rooms = {room(module) for module in graph} - {""}
        arrows = {
            (room(module), room(target))
            for module, targets in graph.items()
            for target in targets
            if room(module) and room(target) and room(module) != room(target)
        }
        with picture.subgraph(name=f"cluster_{package}") as cluster:
            cluster.attr(label=package, fontname="Helvetica")
            for names in floors:
                with cluster.subgraph() as floor:
                    floor.attr(rank="same")
                    for name in names:
                        if name in rooms:
                            floor.node(f"{package}.{name}", name)
            for source, target in sorted(arrows):
                cluster.edge(f"{package}.{target}", f"{package}.{source}", dir="back", color="#8899aa")
    top, ground = FLOORS["icsg3d_models"][-1][0], FLOORS["aiida_icsg3d"][0][0]
    picture.edge(f"icsg3d_models.{top}", f"aiida_icsg3d.{ground}", style="invis")  # one above the other
    return picture


if __name__ == "__main__":
    draw().render(outfile=ROOT / "docs" / "images" / "architecture.svg", cleanup=True)
