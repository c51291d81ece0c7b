"""What a CIF states of its crystal beside the sites (formula, Z, density, volume), and whether it holds."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass

import gemmi
import numpy as np

from ...crystals.elements import NUMBER, SYMBOLS
from ..crystal import Crystal
from .blocks import Block

MULTIPLICITY = ("_atom_site_symmetry_multiplicity", "_atom_site_site_symmetry_multiplicity")
_AMOUNT = re.compile(r"([A-Z][a-z]?)(\d*\.?\d*)")
_SPACED = re.compile(r"^([A-Za-z]{1,2})(\d*\.?\d*)$")
_DENSITY = 0.05  # relative; stated densities are those of other temperatures and masses
_VOLUME = 0.02
_TO_DENSITY = 1.66053907  # u/Å³ -> g/cm³


@dataclass(frozen=True)
class Evidence:
    """What the file states; None or empty where it does not.

    :param formula: the text.
    :param amounts: element -> amount of the formula, empty where it is not readable.
    :param units: formula units in the cell (Z).
    :param density: g/cm³.
    :param volume: Å³.
    :param multiplicities: of the listed sites, empty where one lacks it. Some programs leave those of the group in a
        file whose sites they have written out, so they count less than formula and density.
    """

    formula: str = ""
    amounts: tuple[tuple[str, float], ...] = ()
    units: float | None = None
    density: float | None = None
    volume: float | None = None
    multiplicities: tuple[int, ...] = ()

    @property
    def _measured(self) -> bool:
        return bool(self.amounts and self.units) or self.density is not None

    @property
    def proves(self) -> bool:
        """Whether the number of atoms in the cell follows from what is stated."""
        return self._measured or bool(self.multiplicities)

    def objections(self, crystal: Crystal) -> list[str]:
        """Return what of the stated is not so in the crystal."""
        found: list[str] = []
        counts = {SYMBOLS[z]: int(n) for z, n in zip(*np.unique(crystal.numbers, return_counts=True), strict=True)}
        listed = " ".join(f"{symbol}{n}" for symbol, n in counts.items())
        amounts = dict(self.amounts)
        volume = abs(float(np.linalg.det(crystal.cell)))
        if self.volume is not None and abs(self.volume / volume - 1) > _VOLUME:
            found.append(f"the cell has {volume:.2f} Å³, but the file states {self.volume:g}")
        if amounts and not _in_ratio(counts, amounts):
            found.append(
                f"the sites add up to {listed}, but the file states {self.formula}; it is cut off or incomplete"
            )
        elif amounts and self.units and not any(_equal(counts, amounts, k) for k in self._multiples()):
            found.append(f"the sites add up to {listed}, but the file states {self.formula} with Z {self.units:g}")
        if self.density is not None:
            density = mass(crystal.numbers) * _TO_DENSITY / volume
            if abs(density / self.density - 1) > _DENSITY:
                found.append(f"{listed} has a density of {density:.2f} g/cm³, but the file states {self.density:g}")
        if self.multiplicities and not self._measured and not self._multiply_to(len(crystal.numbers)):
            found.append(f"the multiplicities of the sites add up to {sum(self.multiplicities)}, the sites to "
                         f"{len(crystal.numbers)} atoms ({listed})")  # fmt: skip
        return found

    def _multiply_to(self, atoms: int) -> bool:
        """Return whether the multiplicities are those of so many atoms, or those of sites that are all written out."""
        written_out = atoms == len(self.multiplicities) and all(
            count % multiplicity == 0 for multiplicity, count in Counter(self.multiplicities).items()
        )
        return sum(self.multiplicities) == atoms or written_out

    def _multiples(self) -> list[float]:
        """Return how often the cell may hold the formula: Z times.

        Some programs write the content of the cell as the formula and Z as what that is a multiple of.
        """
        assert self.units is not None
        whole = [round(n) for _, n in self.amounts]
        common = (
            math.gcd(*whole) if all(abs(w - n) < 1e-6 for w, (_, n) in zip(whole, self.amounts, strict=True)) else 1
        )
        # such a program counts Cl8 as 4 Cl2, and Li4 O4 as 2 Li2 O2
        return [self.units, 1.0] if common in (self.units, 2 * self.units) else [self.units]


def evidence_of(block: Block) -> Evidence:
    """Return what a block states of its crystal."""
    formula = " ".join((block.value("_chemical_formula_sum", "_chemical_formula_structural") or "").split())
    return Evidence(
        formula,
        tuple(amounts_stated(formula).items()),
        _positive(block.value("_cell_formula_units_z")),
        _positive(block.value("_exptl_crystal_density_diffrn")),
        _positive(block.value("_cell_volume")),
        _multiplicities(block),
    )


def _multiplicities(block: Block) -> tuple[int, ...]:
    """Return the multiplicities of the listed sites, empty where one lacks it."""
    values = [gemmi.cif.as_number(text) for text in block.column(*MULTIPLICITY) or ()]
    whole = all(math.isfinite(value) and value >= 1 and value.is_integer() for value in values)
    return tuple(int(value) for value in values) if whole else ()


def amounts_stated(formula: str) -> dict[str, float]:
    """Return element -> amount of a formula, empty where it is not readable: it proves nothing then."""
    words = formula.split()
    spaced = [_SPACED.match(word) for word in words]
    pairs: list[tuple[str, str]] = []
    if len(words) > 1 and all(spaced):
        pairs = [(match[1], match[2]) for match in spaced if match is not None]
    elif words and _AMOUNT.sub("", formula.replace(" ", "")) == "":
        pairs = _AMOUNT.findall(formula.replace(" ", ""))
    amounts: dict[str, float] = {}
    for letters, number in pairs:
        symbol = "H" if letters in ("D", "T") else letters.capitalize()
        if symbol not in NUMBER or number == ".":
            return {}
        amounts[symbol] = amounts.get(symbol, 0.0) + float(number or 1)
    return {symbol: amount for symbol, amount in amounts.items() if amount > 0}


def mass(numbers: np.ndarray) -> float:
    """Return the mass of atoms in u."""
    return sum(
        gemmi.Element(int(z)).weight * int(n) for z, n in zip(*np.unique(numbers, return_counts=True), strict=True)
    )


def _positive(text: str | None) -> float | None:
    value = math.nan if text is None else gemmi.cif.as_number(text)
    return value if math.isfinite(value) and value > 0 else None


def _in_ratio(counts: dict[str, int], amounts: dict[str, float]) -> bool:
    """Return whether the counts are a multiple of the amounts; whole amounts exactly, others to their digits."""
    if set(counts) != set(amounts):
        return False
    return _equal(counts, amounts, sum(counts.values()) / sum(amounts.values()))


def _equal(counts: dict[str, int], amounts: dict[str, float], multiple: float) -> bool:
    whole = all(float(n).is_integer() for n in amounts.values())
    return all(
        abs(counts[s] - multiple * n) < (1e-6 * counts[s] if whole else max(0.01 * counts[s], 0.01 * multiple))
        for s, n in amounts.items()
    )
