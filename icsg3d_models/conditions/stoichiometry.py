"""Conditions on what a crystal is made of: elements, composition, anonymous formula, number of atoms."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, Field

from ..crystals.batch import Crystals
from ..crystals.cells import primitive_sites
from ..crystals.contents import contents_of, reduced_amounts
from ..crystals.elements import NUMBER, SYMBOLS, code_table
from ..crystals.formulas import amounts_of, anonymous_amounts, check_anonymous, check_composition, check_elements
from .condition import Condition, Known

CODES = np.array(code_table())  # (Z, K)
MOST_KINDS = 8  # elements of an anonymous formula that are told apart
SITE_FEATURES = 8
MISPLACED = 0.1  # Å, of the sites of generated crystals, within which two cells are one written twice


def formula_of(amounts: Mapping[int, int]) -> str:
    """Return the formula of atomic number -> amount, elements in the order given; an amount of one is not written."""
    return "".join(f"{SYMBOLS[z]}{amount if amount != 1 else ''}" for z, amount in amounts.items())


class Elements(Condition[tuple[int, ...]]):
    """Elements that may occur, by atomic number."""

    name = "elements"
    type = Annotated[list[str], AfterValidator(check_elements)]
    help = "Only these elements; null: all that the models know."
    metavar = "X"
    label = "elements"
    blank = 0.3
    grows = True
    of_space = True

    def parse(self, text: str) -> Any:
        return check_elements(text.split())

    def read(self, given: Any) -> tuple[int, ...]:
        return tuple(sorted(NUMBER[symbol] for symbol in given))

    def describe(self, crystals: Crystals, properties: Mapping[str, np.ndarray]) -> list[tuple[int, ...]]:
        return [tuple(np.unique(crystals.sites(i)[1]).tolist()) for i in range(len(crystals))]

    def width(self, known: Known) -> int:
        return len(known.elements)

    def encode(self, values: Sequence[tuple[int, ...]], known: Known) -> np.ndarray:
        return np.array([np.isin(known.elements, value) for value in values], dtype=np.float64)

    def fulfilled(self, crystals: Crystals, value: tuple[int, ...]) -> np.ndarray:
        foreign = ~np.isin(crystals.numbers, value)
        return np.bincount(crystals.owner, foreign, minlength=len(crystals)) == 0

    def words(self, value: tuple[int, ...]) -> str:
        return " ".join(SYMBOLS[z] for z in value)


class Composition(Condition[dict[int, int]]):
    """Atomic number -> amount in one cell. A crystal fulfils it whose own or primitive cell holds these atoms."""

    name = "composition"
    type = Annotated[str, AfterValidator(check_composition)]
    help = (
        "Formula of one cell, such as `PbTiO3` or `C8`: these atoms in the cell, or in the primitive cell. "
        "With `n_atoms`: these ratios, and so many atoms."
    )
    metavar = "FORMULA"
    label = "composition"
    blank = 0.3

    def read(self, given: Any) -> dict[int, int]:
        return {NUMBER[symbol]: int(amount) for symbol, amount in amounts_of(given).items()}

    def describe(self, crystals: Crystals, properties: Mapping[str, np.ndarray]) -> list[dict[int, int]]:
        return [dict(sorted(Counter(crystals.sites(i)[1].tolist()).items())) for i in range(len(crystals))]

    def width(self, known: Known) -> int:
        return len(known.elements) + CODES.shape[1]

    def encode(self, values: Sequence[dict[int, int]], known: Known) -> np.ndarray:
        rows = []
        for value in values:
            total = sum(value.values())
            shares = {z: amount / total for z, amount in value.items()}
            # The mean code too: what is learned of one element is half known of its neighbours in the table.
            mean = sum(share * CODES[z] for z, share in shares.items())
            rows.append(np.concatenate([[shares.get(z, 0.0) for z in known.elements], mean]))
        return np.array(rows)

    def fulfilled(self, crystals: Crystals, value: dict[int, int]) -> np.ndarray:
        ratio = reduced_amounts(value)
        right = np.array([contents == ratio for contents in contents_of(crystals)], dtype=bool)
        right[right] = of_atoms(crystals.take(np.flatnonzero(right)), sum(value.values()))
        return right

    def words(self, value: dict[int, int]) -> str:
        return formula_of(value)

    def implied(self, value: dict[int, int], asked: Mapping[str, Any]) -> dict[str, Any]:
        total = sum(value.values())
        n_atoms = asked.get("n_atoms", total)
        return {
            "composition": {z: amount * n_atoms // total for z, amount in value.items()},
            "elements": tuple(sorted(value)),
            "anonymous_formula": tuple(value.values()),
            "n_atoms": n_atoms,
        }

    def conflict(self, value: dict[int, int], asked: Mapping[str, Any]) -> str | None:
        if "anonymous_formula" in asked:
            return "`composition` says more than `anonymous_formula`; give one of the two"
        if "elements" in asked and (missing := sorted(set(value) - set(asked["elements"]))):
            return f"`composition` holds {' '.join(SYMBOLS[z] for z in missing)}, which `elements` does not allow"
        return None


class AnonymousFormula(Condition[tuple[int, ...]]):
    """Amounts of the elements, whatever these are, in any unit: (1, 1, 3) of ABC3."""

    name = "anonymous_formula"
    type = Annotated[str, AfterValidator(check_anonymous)]
    help = "Such as `ABC3`: these ratios, whatever the elements are."
    metavar = "FORMULA"
    label = "anonymous formula"

    def read(self, given: Any) -> tuple[int, ...]:
        return tuple(anonymous_amounts(given))

    def describe(self, crystals: Crystals, properties: Mapping[str, np.ndarray]) -> list[tuple[int, ...]]:
        return [tuple(sorted(contents.values())) for contents in contents_of(crystals)]

    def width(self, known: Known) -> int:
        return MOST_KINDS

    def encode(self, values: Sequence[tuple[int, ...]], known: Known) -> np.ndarray:
        parts = [sorted((amount / sum(value) for amount in value), reverse=True) for value in values]
        return np.array([(row + [0.0] * MOST_KINDS)[:MOST_KINDS] for row in parts])

    def fulfilled(self, crystals: Crystals, value: tuple[int, ...]) -> np.ndarray:
        asked = tuple(sorted(reduced_amounts(dict(enumerate(value))).values()))
        return np.array([found == asked for found in self.describe(crystals, {})], dtype=bool)

    def words(self, value: tuple[int, ...]) -> str:
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        return "".join(f"{a}{n if n != 1 else ''}" for a, n in zip(letters, sorted(value), strict=False))

    def conflict(self, value: tuple[int, ...], asked: Mapping[str, Any]) -> str | None:
        if "elements" in asked and len(asked["elements"]) < len(value):
            return f"`anonymous_formula` {self.words(value)} needs {len(value)} elements; `elements` allows fewer"
        return None


class NumberOfAtoms(Condition[int]):
    """Sites in the cell. A crystal fulfils it whose own or primitive cell has so many."""

    name = "n_atoms"
    type = Annotated[int, Field(ge=1)]
    help = "Atoms in the cell, or in the primitive cell; null: as many as `composition` has, or any number."
    metavar = "N"
    label = "atoms in the cell"
    blank = 0.3

    def read(self, given: Any) -> int:
        return int(given)

    def describe(self, crystals: Crystals, properties: Mapping[str, np.ndarray]) -> list[int]:
        counts: list[int] = crystals.counts.tolist()
        return counts

    def width(self, known: Known) -> int:
        return SITE_FEATURES

    def encode(self, values: Sequence[int], known: Known) -> np.ndarray:
        rows = []
        for value in values:
            angles = [math.log(value) * 2.0**k for k in range(SITE_FEATURES // 2)]
            rows.append([f(angle) for angle in angles for f in (math.sin, math.cos)])
        return np.array(rows)

    def fulfilled(self, crystals: Crystals, value: int) -> np.ndarray:
        return of_atoms(crystals, value)

    def words(self, value: int) -> str:
        return str(value)

    def conflict(self, value: int, asked: Mapping[str, Any]) -> str | None:
        for name, words in (("composition", Composition().words), ("anonymous_formula", AnonymousFormula().words)):
            if name in asked:
                given = asked[name]
                amounts = list(given.values()) if isinstance(given, dict) else list(given)
                smallest = sum(amounts) // math.gcd(*amounts)
                if value % smallest:
                    return f"`n_atoms` {value}: cells of {words(given)} hold a multiple of {smallest} atoms"
        return None


def of_atoms(crystals: Crystals, count: int) -> np.ndarray:
    """Return which crystals have so many sites in the cell in which they are given or in the primitive one, (B,) bool.

    Both, because a cell is a way of writing: 16 sites may be 8 written twice, and 8 sites of diamond, of which two are
    enough, are the 8 that were asked for.
    """
    counts = crystals.counts
    right = counts == count
    for index in np.flatnonzero(~right & (counts > count) & (counts % count == 0)):
        right[index] = primitive_sites(crystals, int(index), MISPLACED) == count
    return right
