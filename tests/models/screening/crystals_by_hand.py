"""Crystals of the tests of the screening, and a batch of them as the criteria take it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymatgen.core import Lattice, Structure

from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.screening.criterion import Batch
from icsg3d_models.screening.screen import formulas_of
from icsg3d_models.screening.sources import Sources
from icsg3d_models.settings import ScreenSettings

PEROVSKITE = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]


def perovskite(a: str = "Pb", b: str = "Ti", x: str = "O", length: float = 3.97) -> Structure:
    """Return a cubic perovskite."""
    return Structure(Lattice.cubic(length), [a, b, x, x, x], PEROVSKITE)


def sodium(length: float = 4.29) -> Structure:
    """Return body-centred cubic sodium."""
    return Structure(Lattice.cubic(length), ["Na", "Na"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def batch_of(structures: Sequence[Structure], sources: Sources | None = None, **settings: Any) -> Batch:
    """Return a batch with the settings given."""
    crystals = Crystals.from_structures(structures)
    return Batch(crystals, formulas_of(crystals), ScreenSettings(**settings), sources or Sources())
