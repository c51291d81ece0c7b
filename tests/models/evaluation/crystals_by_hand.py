"""Made-up crystals that the tests of the metrics share."""

from __future__ import annotations

import numpy as np

from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.crystals.elements import NUMBER

IDEAL = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])


def perovskites(*formulas: str, a: float = 4.0, frac: np.ndarray = IDEAL) -> Crystals:
    """Return ideal cubic perovskites; a formula is three symbols, "Sr Ti O"; ids are p0, p1, ..."""
    numbers = []
    for formula in formulas:
        first, second, anion = (NUMBER[symbol] for symbol in formula.split())
        numbers.append(np.array([first, second, anion, anion, anion]))
    n = len(formulas)
    return Crystals.from_arrays([np.eye(3) * a] * n, [frac] * n, numbers, [f"p{i}" for i in range(n)])


def crystal(cell: np.ndarray, frac: list[list[float]], *symbols: str, name: str = "c") -> Crystals:
    """Return a batch of one crystal."""
    return Crystals.from_arrays([cell], [np.array(frac)], [np.array([NUMBER[s] for s in symbols])], [name])


def joined(*batches: Crystals) -> Crystals:
    """Return batches as one, with new ids c0, c1, ..."""
    sites = [batch.sites(i) for batch in batches for i in range(len(batch))]
    cells = [cell for batch in batches for cell in batch.cell]
    return Crystals.from_arrays(
        cells, [f for f, _ in sites], [z for _, z in sites], [f"c{i}" for i in range(len(cells))]
    )
