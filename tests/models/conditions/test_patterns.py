"""Compositions of a chemical space, drawn as training crystals have theirs."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from icsg3d_models.conditions.patterns import Fitting, Pattern, fitting, patterns_of
from icsg3d_models.conditions.stoichiometry import formula_of
from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.crystals.elements import NUMBER
from icsg3d_models.crystals.validity import composition_valid


def made_of(*contents: str) -> Crystals:
    """Return crystals of any geometry with these sites, as ``Pb Ti O O O``."""
    numbers = [np.array([NUMBER[symbol] for symbol in content.split()]) for content in contents]
    fracs = [np.random.default_rng(i).random((len(z), 3)) for i, z in enumerate(numbers)]
    return Crystals.from_arrays([4 * np.eye(3)] * len(numbers), fracs, numbers, [str(i) for i in range(len(numbers))])


def test_patterns_are_ratios_with_places_in_the_order_of_electronegativity() -> None:
    ratios = patterns_of(made_of("Pb Ti O O O", "O O O Ba Ti", "C C", "C C C C", "Na Cl", "Ti Pb Pb Ti O O O O O O"))
    found = {tuple(pattern.amounts): pattern for pattern in ratios}
    assert set(found) == {(3, 1, 1), (1,), (1, 1)}
    assert found[3, 1, 1].count == 3
    # Pauling: Ba 0.89, Ti 1.54, Pb 2.33 (lead comes after titanium); O 3.44.
    assert found[3, 1, 1].places == [{8: 3}, {22: 2, 56: 1}, {22: 1, 82: 2}]
    assert found[1, 1].places == [{11: 1}, {17: 1}]
    assert found[(1,)].places == [{6: 2}]


def test_rare_patterns_are_left_out() -> None:
    common = ["C"] * 300
    assert [p.amounts for p in patterns_of(made_of(*common, "Na Cl"))] == [[1]]


PATTERNS = [
    Pattern(amounts=[3, 1, 1], count=90, places=[{8: 80, 7: 10}, {22: 60, 12: 30}, {82: 50, 13: 40}]),
    Pattern(amounts=[1], count=10, places=[{6: 10}]),
]


def fitted(allowed: set[int]) -> Fitting:
    fit = fitting(PATTERNS, allowed, None)
    assert fit is not None
    return fit


def test_only_allowed_elements_and_valid_compositions_are_drawn() -> None:
    rng = np.random.default_rng(0)
    allowed = {8, 22, 12, 82, 13}
    fit = fitted(allowed)
    drawn = Counter(formula_of(fit.draw(rng) or {}) for _ in range(300))
    assert set(drawn) <= {f"O3{a}{b}" for a in ("Ti", "Mg") for b in ("Pb", "Al")}
    assert len(drawn) >= 3
    assert all(composition_valid(formula) for formula in drawn)
    assert drawn["O3TiPb"] == drawn.most_common(1)[0][1]


@pytest.mark.parametrize(
    ("allowed", "amounts", "expected"),
    [
        ({6}, None, {6: 1}),
        ({6}, [2], {6: 1}),
        ({6, 8, 22, 82}, [1, 1, 3], {8: 3, 22: 1, 82: 1}),
        ({6, 8, 22, 82}, [6, 2, 2], {8: 3, 22: 1, 82: 1}),
        ({8, 22}, None, None),
        ({6}, [1, 2], None),
        ({26}, None, None),
    ],
)
def test_a_ratio_that_is_asked_for(
    allowed: set[int], amounts: list[int] | None, expected: dict[int, int] | None
) -> None:
    fit = fitting(PATTERNS, allowed, amounts)
    assert (None if fit is None else fit.draw(np.random.default_rng(1))) == expected
