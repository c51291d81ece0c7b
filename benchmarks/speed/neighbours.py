"""Compare the neighbour lists of batches with those of vesin (pip install vesin): the pairs found, and the time.

python benchmarks/speed/neighbours.py --output docs/benchmarks/speed_neighbours.md
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from measuring import header, product_ceiling, table, timed
from vesin import NeighborList

from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.crystals.neighbours import Neighbours, neighbour_list

CUTOFFS = (0.5, 5.0, 8.0)  # Å: the test of validity, the property model, and what the first CGCNN took
COLUMNS = ["crystals", "cut-off, Å", "pairs a crystal", "batches, ms a crystal", "vesin, ms a crystal", "lists differ"]


def sets() -> dict[str, Crystals]:
    """Return crystals of three kinds: small as Perov-5 has them, in cells sheared out of shape, and large."""
    rng = np.random.default_rng(0)
    perovskite = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    shear = np.array([[1, 0, 0], [9, 1, 0], [3, -7, 1]])

    def batch(cells: list[np.ndarray], fracs: list[np.ndarray]) -> Crystals:
        names = [str(index) for index in range(len(cells))]
        return Crystals.from_arrays(cells, fracs, [rng.integers(1, 90, len(f)) for f in fracs], names)

    lengths = rng.uniform(3.5, 5.0, 1000)
    displaced = [perovskite + rng.normal(0, 0.02, (5, 3)) for _ in lengths]
    small = batch([length * np.eye(3) for length in lengths], displaced)
    sheared = batch(list(shear @ small.cell[:50]), [small.sites(i)[0] @ np.linalg.inv(shear) for i in range(50)])
    large = batch([20 * np.eye(3) + rng.normal(0, 1, (3, 3)) for _ in range(20)], [rng.random((200, 3))] * 20)
    return {"1,000 of 5 sites": small, "50 of 5 sites, sheared cells": sheared, "20 of 200 sites": large}


def by_vesin(crystals: Crystals, cutoff: float) -> list[np.ndarray]:
    """Return the distances of every crystal."""
    finder = NeighborList(cutoff=cutoff, full_list=True)
    found = []
    for index in range(len(crystals)):
        cell, frac = crystals.cell[index], crystals.sites(index)[0]
        found.append(finder.compute(points=frac @ cell, box=cell, periodic=True, quantities="ijd")[2])
    return found


def differing(ours: Neighbours, theirs: list[np.ndarray]) -> int:
    """Return how many crystals have other distances."""
    mine = [np.sort(ours.distance[a:b]) for a, b in zip(ours.offsets[:-1], ours.offsets[1:], strict=True)]
    return sum(len(a) != len(b) or not np.allclose(a, np.sort(b)) for a, b in zip(mine, theirs, strict=True))


def main() -> None:
    """Read the command line, measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="repeats of each measurement; the least time counts")
    parser.add_argument("--output", type=Path, required=True, help="the Markdown page to write")
    options = parser.parse_args()
    rows = []
    for name, crystals in sets().items():
        for cutoff in CUTOFFS:
            ours = timed(lambda c=crystals, r=cutoff: neighbour_list(c, r), options.repeats)
            theirs = timed(lambda c=crystals, r=cutoff: by_vesin(c, r), options.repeats)
            found = neighbour_list(crystals, cutoff)
            times = [f"{1e3 * time.process / len(crystals):.3f}" for time in (ours, theirs)]
            pairs = f"{len(found.distance) / len(crystals):.0f}"
            rows.append([name, f"{cutoff:g}", pairs, *times, str(differing(found, by_vesin(crystals, cutoff)))])
    lines = header("Neighbour lists, beside vesin", product_ceiling(3), repeats=options.repeats)
    lines += [*table(COLUMNS, rows), ""]
    options.output.write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
