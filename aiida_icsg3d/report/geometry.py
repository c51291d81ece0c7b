"""Cells, distances and coordination of crystals, in the words of a table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .pictures.crystal import find_bonds

if TYPE_CHECKING:
    from pymatgen.core import Structure

SAME = 0.02  # Å; bonds within it are counted together


@dataclass(frozen=True)
class Cell:
    """A conventional cell and its space group.

    :param lengths: a, b, c in Å.
    :param angles: in degrees.
    """

    lengths: tuple[float, float, float]
    angles: tuple[float, float, float]
    symbol: str

    @property
    def c_over_a(self) -> float:
        """Ratio of the third length to the first."""
        return self.lengths[2] / self.lengths[0]


def conventional_cell(structure: Structure, symprec: float) -> Cell:
    """Return the conventional cell of a crystal; where no symmetry is found, its own cell, as P1.

    :param symprec: Å, tolerance of the symmetry.
    """
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

    try:
        symmetry = SpacegroupAnalyzer(structure, symprec=symprec)
        lattice = symmetry.get_conventional_standard_structure().lattice
        symbol = symmetry.get_space_group_symbol()
    except (TypeError, ValueError, AttributeError):  # sites closer together than the tolerance
        lattice, symbol = structure.lattice, "P1"
    return Cell(lattice.abc, lattice.angles, symbol)


def coordination(structure: Structure) -> list[str]:
    """Return the bonds of each kind of atom, as in `Ti: 6 O at 1.95 Å`, by the same rule as they are drawn."""
    cell = np.asarray(structure.lattice.matrix)
    frac = np.asarray(structure.frac_coords)
    symbols = [site.specie.symbol for site in structure]
    shells: Counter[tuple[str, str]] = Counter()
    for site, bonds in enumerate(find_bonds(cell, frac, symbols)):
        for other in dict.fromkeys(symbols[n] for n, _ in bonds):
            lengths = sorted(
                float(np.linalg.norm((frac[n] + image - frac[site]) @ cell))
                for n, image in bonds
                if symbols[n] == other
            )
            shells[symbols[site], f"{len(lengths)} {other} at {in_groups(lengths)} Å"] += 1
    lines: dict[str, list[str]] = {}
    for (symbol, words), count in shells.items():
        times = f" ({count}×)" if count > 1 else ""
        lines.setdefault(symbol, []).append(words + times)
    return [f"{symbol}: {', '.join(words)}" for symbol, words in lines.items()]


def in_groups(lengths: list[float]) -> str:
    """Return sorted lengths with equal ones together, as in `4 × 1.95, 2 × 2.10`."""
    groups: list[list[float]] = []
    for length in lengths:
        if groups and length - groups[-1][0] <= SAME:
            groups[-1].append(length)
        else:
            groups.append([length])
    if len(groups) == 1:
        return f"{np.mean(groups[0]):.2f}"
    return ", ".join(f"{len(group)} × {np.mean(group):.2f}" for group in groups)
