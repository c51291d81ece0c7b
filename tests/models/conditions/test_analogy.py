"""New contents of cells are like known ones: same amounts and symmetry, elements akin, neutral."""

from __future__ import annotations

import numpy as np
import pytest

from icsg3d_models.conditions import Known
from icsg3d_models.conditions.analogy import Examples, examples_of, kinship
from icsg3d_models.conditions.rows import rows_of
from icsg3d_models.conditions.space import ConditionSpace, blocks_of
from icsg3d_models.conditions.stoichiometry import formula_of
from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.crystals.elements import NUMBER, SYMBOLS
from icsg3d_models.crystals.validity import composition_valid

ELEMENTS = [NUMBER[symbol] for symbol in ("Li", "O", "Na", "Cl", "K", "Ti", "Mn", "Fe", "Sr", "Ba", "Pb", "S", "C")]


def made_of(*contents: str) -> Crystals:
    """Return crystals of any geometry with these sites, as ``Pb Ti O O O``."""
    numbers = [np.array([NUMBER[symbol] for symbol in content.split()]) for content in contents]
    fracs = [np.random.default_rng(i).random((len(z), 3)) for i, z in enumerate(numbers)]
    return Crystals.from_arrays([4 * np.eye(3)] * len(numbers), fracs, numbers, [str(i) for i in range(len(numbers))])


@pytest.fixture
def examples() -> Examples:
    """Return a layered oxide with two formulas in the cell, a perovskite, rock salt and diamond."""
    crystals = made_of("Na Na Mn Mn O O O O", "Pb Ti O O O", "Na Cl", "C C")
    return examples_of(crystals, [12, 221, 225, 227])


def test_elements_of_a_group_are_akin_and_others_are_not() -> None:
    akin = kinship()
    assert akin[NUMBER["Na"], NUMBER["Na"]] == 1.0
    assert akin[NUMBER["Na"], NUMBER["K"]] > 10 * akin[NUMBER["Na"], NUMBER["O"]]
    assert akin[NUMBER["Mn"], NUMBER["Fe"]] > 10 * akin[NUMBER["Mn"], NUMBER["Cl"]]
    assert akin[0, 1:].max() == 0.0
    np.testing.assert_allclose(akin, akin.T)


def test_a_named_space_is_filled_by_the_example_that_is_most_like_it(examples: Examples) -> None:
    allowed = [NUMBER[symbol] for symbol in ("Li", "Mn", "O")]
    weights = examples.weights(allowed, None, None)
    assert weights.sum() == pytest.approx(1.0)
    assert weights.argmax() == 0
    rng = np.random.default_rng(0)
    drawn = [examples.draw(weights, allowed, 0.0, rng) for _ in range(40)]
    layered = [d for d in drawn if d is not None and d[1] == 12]
    assert len(layered) > 20
    assert all(set(contents) <= set(allowed) for contents, *_ in layered)
    lithium = {NUMBER["O"]: 4, NUMBER["Li"]: 2, NUMBER["Mn"]: 2}
    assert sum(contents == lithium for contents, *_ in layered) > 0.5 * len(layered)


def test_amounts_and_number_of_atoms_choose_examples(examples: Examples) -> None:
    assert examples.weights(None, (3, 1, 1), None).tolist() == [0.0, 1.0, 0.0, 0.0]
    assert examples.weights(None, (2, 2), None).tolist() == [0.0, 0.0, 1.0, 0.0]  # NaCl; not NaMnO2
    assert examples.weights(None, None, 8).tolist() == [1.0, 0.0, 0.0, 0.0]
    assert examples.weights(None, (1, 2, 3, 4), None).sum() == 0.0
    assert examples.weights([NUMBER["C"]], None, None).tolist() == [0.0, 0.0, 0.0, 1.0]


def test_what_is_drawn_is_valid_and_mostly_new(examples: Examples) -> None:
    rng = np.random.default_rng(1)
    weights = examples.weights(None, None, None)
    drawn = [d for d in (examples.draw(weights, ELEMENTS, 0.5, rng) for _ in range(200)) if d is not None]
    formulas = [formula_of(contents) for contents, *_ in drawn]
    assert len(drawn) == 200
    assert all(composition_valid(formula) for formula in formulas)
    assert len(set(formulas)) > 30
    assert {sum(contents.values()) for contents, *_ in drawn} == {8, 5, 2}
    assert all(set(contents) <= set(ELEMENTS) for contents, *_ in drawn)


@pytest.mark.parametrize("asked", [{}, {"space_group": 221}, {"crystal_system": "cubic", "n_atoms": 2}])
def test_rows_say_what_was_drawn_and_what_was_asked(examples: Examples, asked: dict[str, object]) -> None:
    known = Known(ELEMENTS)
    names = ["elements", "composition", "n_atoms", "crystal_system", "space_group"]
    space = ConditionSpace(blocks_of(names, known), known)
    said: list[str] = []
    rows = rows_of(space, [], asked, 60, 0, said.append, examples)
    assert not said
    for name in names:
        assert rows[:, space.blocks[name]][:, -1].all(), name
    groups = set((rows[:, space.blocks["space_group"]][:, :-1].argmax(axis=1) + 1).tolist())
    wanted = {"space_group": {221}, "crystal_system": {225, 227}}
    assert groups == next((groups for name, groups in wanted.items() if name in asked), {12, 221, 225, 227})
    np.testing.assert_array_equal(rows_of(space, [], asked, 20, 0, said.append, examples), rows[:20])
    shares = rows[:, space.blocks["composition"]][:, : len(ELEMENTS)]
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-5)
    held, allowed = shares > 0, rows[:, space.blocks["elements"]][:, :-1] > 0
    np.testing.assert_array_equal(held, allowed)


def test_a_composition_that_is_asked_for_stays(examples: Examples) -> None:
    known = Known(ELEMENTS)
    space = ConditionSpace(blocks_of(["composition", "n_atoms"], known), known)
    rows = rows_of(space, [], {"composition": "SrTiO3"}, 3, 0, print, examples)
    amounts = rows[0, space.blocks["composition"]][: len(ELEMENTS)]
    assert {SYMBOLS[z]: round(5 * float(a)) for z, a in zip(ELEMENTS, amounts, strict=True) if a} == {
        "O": 3, "Ti": 1, "Sr": 1,
    }  # fmt: skip
    assert (rows == rows[0]).all()


def test_the_first_sample_of_a_composition_is_like_the_likeliest() -> None:
    """Three of rock salt outweigh one of caesium chloride that is a little more akin; later samples are drawn."""
    crystals = made_of("K Cl", "Na S", "Li Cl", "Rb Cl")
    salts = examples_of(crystals, [225, 225, 225, 221])
    found = salts.likenesses({NUMBER["Na"]: 1, NUMBER["Cl"]: 1})
    likeliest = found.draw({NUMBER["Na"]: 1, NUMBER["Cl"]: 1}, None)
    assert likeliest is not None
    assert likeliest.group == 225
    groups = {found.draw({NUMBER["Na"]: 1, NUMBER["Cl"]: 1}, np.random.default_rng(i)).group for i in range(60)}
    assert groups == {225, 221}
