"""Are atoms as far apart as their sizes say: distances in units of the sum of two covalent radii.

The published test of validity lets 0.51 Å pass between two atoms of lead. Covalent radii: Cordero et al., Dalton
Trans. 2832 (2008), 10.1039/b801115j, as ase has them; elements without one, beyond Cm, take that of Cm.

Real crystals, 4,000 at most of each set: the smallest ratio is 0.68 in Perov-5, 0.79 in Carbon-24, 0.62 in a mix of
MP-20, MPTS-52 and WBM, 0.72 in AFLOW's perovskite oxides, 0.77 in AFLOW-ICSD. The default 0.6
passes all of them; 0.7 passes 99.6 % of the mix.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ...crystals.elements import NUMBER, SYMBOLS
from ...crystals.neighbours import neighbour_list
from ..column import Column
from ..criterion import Batch, Criterion, Finding

RATIO = Column("shortest_ratio", "number", "", "smallest distance divided by the sum of the two covalent radii")
REACH = 1.5  # in units of the sum of radii; beyond it a crystal has no bonds and the cell stays empty


@cache
def radii() -> np.ndarray:
    """Return the covalent radius of every atomic number in Å, (119,); index 0 is no atom."""
    from ase.data import covalent_radii, missing

    known = np.array(covalent_radii, dtype=np.float64)
    return np.where(known == missing, known[NUMBER["Cm"]], known)


def judge(batch: Batch) -> Finding:
    """Find for every crystal the pair that is closest for its size."""
    crystals = batch.valid
    ratio = np.full(len(crystals), np.inf)
    pair = np.zeros((len(crystals), 2), dtype=np.int64)
    for start in range(0, len(crystals), 500):
        part = crystals.take(np.arange(start, min(start + 500, len(crystals))))
        size = radii()[part.numbers]
        found = neighbour_list(part, REACH * float(2 * size.max()))
        relative = found.distance / (size[found.source] + size[found.target])
        owner = part.owner[found.source]
        order = np.lexsort((relative, owner))
        present, first = np.unique(owner[order], return_index=True)
        least = order[first]
        ratio[start + present] = relative[least]
        pair[start + present] = part.numbers[np.stack([found.source[least], found.target[least]], axis=1)]
    ratio[ratio > REACH] = np.inf
    limit = batch.settings.min_distance_ratio
    words: list[str | None] = [
        None
        if value >= limit
        else f"{SYMBOLS[a]} and {SYMBOLS[b]} are {value:.2f} of their radii apart, less than {limit:g}"
        for value, (a, b) in zip(ratio, pair, strict=True)
    ]
    passed = np.array(batch.spread((ratio >= limit).tolist(), False))
    cells = [float(value) if np.isfinite(value) else None for value in ratio]
    return Finding(passed, batch.spread(words), {RATIO.name: batch.spread(cells)})


DISTANCE = Criterion("distance", "distance", (RATIO,), judge)
