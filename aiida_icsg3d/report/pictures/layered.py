"""Place a directed acyclic graph in layers, so that few lines cross and no line runs through a box.

The steps of Sugiyama, Tagawa and Toda, IEEE Trans. Syst. Man Cybern. 11, 109 (1981), doi:10.1109/TSMC.1981.4308636:
layers, points along long edges, order by the mean of the neighbours and by exchange, then positions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from itertools import combinations, pairwise

SWEEPS = 80
ORDERINGS = 6  # sweeps that look for an order with fewer crossings
STRAIGHT = 4.0  # pull of a stretch between two bends, to that of one that ends at a box
BEND = 0.42  # room that a passing line takes, in units of the room of a box

Key = Hashable
Point = tuple[float, float]


def layers_of(nodes: Sequence[Key], edges: Sequence[tuple[Key, Key]]) -> dict[Key, int]:
    """Return the layer of each node: below all its sources; a node without sources stands just above its targets."""
    sources, targets = defaultdict(list), defaultdict(list)
    for source, target in edges:
        sources[target].append(source)
        targets[source].append(target)
    layer: dict[Key, int] = {}

    def place(node: Key) -> int:
        if node not in layer:
            layer[node] = 1 + max((place(source) for source in sources[node]), default=-1)
        return layer[node]

    for node in nodes:
        place(node)
    for node in sorted(nodes, key=lambda n: -layer[n]):
        if targets[node]:
            # as low as the targets allow, so that what is used late stands late
            layer[node] = min(layer[target] for target in targets[node]) - 1
    lowest = min(layer.values(), default=0)
    return {node: value - lowest for node, value in layer.items()}


def place_layers(
    nodes: Sequence[Key], edges: Sequence[tuple[Key, Key]]
) -> tuple[dict[Key, Point], dict[tuple[Key, Key], list[Point]]]:
    """Return the place (x, layer) of each node and the points that each edge runs through, ends included.

    Boxes of one layer are at least 1 apart in x.
    """
    layer = layers_of(nodes, edges)
    rows: list[list[Key]] = [[] for _ in range(max(layer.values(), default=0) + 1)]
    for node in nodes:
        rows[layer[node]].append(node)
    neighbours: dict[Key, list[Key]] = defaultdict(list)
    chains: dict[tuple[Key, Key], list[Key]] = {}
    for source, target in dict.fromkeys(edges):
        bends: list[Key] = [("bend", source, target, k) for k in range(layer[source] + 1, layer[target])]
        for k, bend in enumerate(bends, start=layer[source] + 1):
            rows[k].append(bend)
        chains[source, target] = [source, *bends, target]
        for upper, lower in pairwise(chains[source, target]):
            neighbours[upper].append(lower)
            neighbours[lower].append(upper)
    real = set(nodes)
    untangle(rows, neighbours)
    x = {node: float(k) for row in rows for k, node in enumerate(row)}
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wanted = {node: pulled(node, neighbours[node], x, real) for node in row}
            spread(row, wanted, x, real)
    depth = {node: float(k) for k, row in enumerate(rows) for node in row}
    middle = (min(x.values(), default=0) + max(x.values(), default=0)) / 2
    places = {node: (x[node] - middle, depth[node]) for node in x}
    return {n: places[n] for n in nodes}, {edge: [places[n] for n in chain] for edge, chain in chains.items()}


def untangle(rows: list[list[Key]], neighbours: dict[Key, list[Key]]) -> None:
    """Order each row so that few lines cross: by the mean of the neighbours, then by exchanging two of a row.

    The best order of all sweeps is kept.
    """
    best = [list(row) for row in rows]
    least = count_crossings(rows, neighbours)
    for sweep in range(ORDERINGS):
        if not least:
            break
        place = {node: k for row in rows for k, node in enumerate(row)}
        for n in range(len(rows)) if sweep % 2 == 0 else reversed(range(len(rows))):
            beside = n - 1 if sweep % 2 == 0 else n + 1
            fixed = set(rows[beside]) if 0 <= beside < len(rows) else set()
            known = {node: [place[other] for other in neighbours[node] if other in fixed] for node in rows[n]}
            middle = {node: sum(at) / len(at) if at else float(place[node]) for node, at in known.items()}
            rows[n].sort(key=lambda node, middle=middle: middle[node])  # type: ignore[misc]
            place.update({node: k for k, node in enumerate(rows[n])})
        exchange(rows, neighbours)
        crossings = count_crossings(rows, neighbours)
        if crossings < least:
            best, least = [list(row) for row in rows], crossings
    for row, order in zip(rows, best, strict=True):
        row[:] = order


def exchange(rows: list[list[Key]], neighbours: dict[Key, list[Key]]) -> None:
    """Exchange two nodes of a row as long as that makes fewer lines cross."""
    least = count_crossings(rows, neighbours)
    better = True
    while better and least:
        better = False
        for row in rows:
            for i, j in combinations(range(len(row)), 2):
                row[i], row[j] = row[j], row[i]
                crossings = count_crossings(rows, neighbours)
                if crossings < least:
                    least, better = crossings, True
                else:
                    row[i], row[j] = row[j], row[i]


def count_crossings(rows: list[list[Key]], neighbours: dict[Key, list[Key]]) -> int:
    """Return how many pairs of lines between two rows cross."""
    total = 0
    for upper, lower in pairwise(rows):
        place = {node: k for k, node in enumerate(lower)}
        lines = [(k, place[other]) for k, node in enumerate(upper) for other in neighbours[node] if other in place]
        total += sum((a - c) * (b - d) < 0 for (a, b), (c, d) in combinations(lines, 2))
    return total


def pulled(node: Key, neighbours: list[Key], x: dict[Key, float], real: set[Key]) -> float:
    """Return the mean place of the neighbours, in which stretches between two bends count more."""
    weights = [1.0 if node in real or other in real else STRAIGHT for other in neighbours]
    total = sum(weights)
    return sum(w * x[other] for w, other in zip(weights, neighbours, strict=True)) / total if total else x[node]


def spread(row: list[Key], wanted: dict[Key, float], x: dict[Key, float], real: set[Key]) -> None:
    """Set x of a row as near as possible to what is wanted, keeping the order and the room of each node."""
    room = [1.0 if node in real else BEND for node in row]
    offsets = [0.0]
    for left, right in pairwise(room):
        offsets.append(offsets[-1] + (left + right) / 2)
    # least squares under an order: pool neighbours that would overlap and give them their common mean
    blocks: list[tuple[float, int]] = []
    for node, offset in zip(row, offsets, strict=True):
        blocks.append((wanted[node] - offset, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (b, m), (a, n) = blocks.pop(), blocks.pop()
            blocks.append(((a * n + b * m) / (n + m), n + m))
    shifts = [shift for shift, count in blocks for _ in range(count)]
    for node, offset, shift in zip(row, offsets, shifts, strict=True):
        x[node] = offset + shift
