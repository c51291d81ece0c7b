"""What crystals are asked for and whether they are so: every condition of the list, on crystals drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest

from icsg3d_models.conditions import BY_NAME, CONDITIONS, completed, contradiction, fulfilled, unfulfilled
from icsg3d_models.crystals.batch import Crystals

IDEAL = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
TWICE = np.concatenate([IDEAL, IDEAL + np.array([0, 0, 1])]) * [1, 1, 0.5]
LEAD = np.array([82, 22, 8, 8, 8])
MADE = Crystals.from_arrays(
    [3.9 * np.eye(3), np.diag([3.9, 3.9, 8.4]), np.diag([3.9, 3.9, 4.2]), np.diag([3.0, 3.1, 3.2])],
    [IDEAL, TWICE, IDEAL, IDEAL],
    [LEAD, np.tile(LEAD, 2), np.array([82, 8, 22, 22, 22]), np.array([5, 5, 7, 7, 7])],
    ["cubic", "doubled", "other", "nitride"],
)
FACES = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
DIAMOND = np.concatenate([FACES, FACES + 0.25])


def carbon(*cells: tuple[np.ndarray, np.ndarray]) -> Crystals:
    return Crystals.from_arrays(
        [cell for cell, _ in cells], [frac for _, frac in cells], [np.full(len(frac), 6) for _, frac in cells],
        [str(i) for i in range(len(cells))],
    )  # fmt: skip


def eight() -> tuple[np.ndarray, np.ndarray]:
    """Return eight atoms of a triclinic cell that no smaller cell describes."""
    return np.array([[4.0, 0, 0], [0.3, 4.5, 0], [0.2, 0.4, 5.0]]), np.random.default_rng(0).random((8, 3))


@pytest.mark.parametrize(
    ("asked", "right"),
    [
        ({"composition": "PbTiO3"}, [True, True, False, False]),
        ({"composition": "PbTiO3", "n_atoms": 10}, [False, True, False, False]),
        ({"anonymous_formula": "A3BC"}, [True, True, True, False]),
        ({"anonymous_formula": "A4B6"}, [False, False, False, True]),
        ({"n_atoms": 5}, [True, True, True, True]),
        ({"n_atoms": 10}, [False, True, False, False]),
        ({"elements": ["O", "Ti", "Pb", "C"]}, [True, True, True, False]),
        ({"crystal_system": "cubic"}, [True, False, False, False]),
        ({"crystal_system": "orthorhombic"}, [False, False, False, True]),
    ],
)
def test_conditions_are_meant_as_they_are_written(asked: dict[str, object], right: list[bool]) -> None:
    found = list(fulfilled(MADE, asked).values())
    assert np.all(found, axis=0).tolist() == right
    assert [reason is None for reason in unfulfilled(MADE, asked)] == right


def test_eight_atoms_are_eight_atoms_or_eight_in_the_primitive_cell() -> None:
    """As `--composition C8` asks: not 4, not 16; but 16 that are 8 written twice, and the 8 of the cube of diamond."""
    cell, frac = eight()
    other = np.random.default_rng(1).random((16, 3))
    made = carbon(
        (cell, frac),
        (np.diag([2, 1, 1]) @ cell, np.concatenate([frac, frac + np.eye(3)[0]]) / [2, 1, 1]),
        (3.57 * np.eye(3), DIAMOND),
        (cell, frac[:4]),
        (np.diag([2, 1, 1]) @ cell, other),
        (3.57 / 2 * (1 - np.eye(3)), np.array([[0, 0, 0], [0.25, 0.25, 0.25]])),
    )
    expected = [True, True, True, False, False, False]
    for asked in ({"composition": "C8"}, {"n_atoms": 8}, {"composition": "C4", "n_atoms": 8}):
        assert [reason is None for reason in unfulfilled(made, asked)] == expected
    assert unfulfilled(made, {"composition": "C8"})[3] == "not as asked: composition C8, found C4"


def test_reasons_name_what_is_missed_and_what_is_there() -> None:
    reasons = unfulfilled(MADE, {"elements": ["Pb", "Ti", "O"], "crystal_system": "tetragonal", "n_atoms": 5})
    assert reasons == [
        "not as asked: crystal_system tetragonal, found cubic",
        None,
        None,
        "not as asked: elements O Ti Pb, found B N; crystal_system tetragonal, found orthorhombic",
    ]
    assert unfulfilled(MADE, {}) == [None] * 4


def test_broken_crystals_are_judged_too() -> None:
    broken = Crystals.from_arrays(
        [np.full((3, 3), np.nan), np.zeros((3, 3)), 4 * np.eye(3)],
        [IDEAL, IDEAL, np.zeros((0, 3))],
        [LEAD, np.array([0, 8, 8, 8, 8]), np.zeros(0, dtype=int)],
        ["nan", "flat", "empty"],
    )
    asked = {"composition": "PbTiO3", "crystal_system": "cubic"}
    reasons = unfulfilled(broken, asked)
    assert reasons[0] == "not as asked: crystal_system cubic, found none"
    assert all(reason is not None and "composition PbTiO3, found" in reason for reason in reasons[1:])


def test_a_composition_implies_elements_ratio_and_number_of_atoms() -> None:
    assert completed({"composition": "PbTiO3"}) == {
        "composition": {82: 1, 22: 1, 8: 3}, "elements": (8, 22, 82), "anonymous_formula": (1, 1, 3), "n_atoms": 5,
    }  # fmt: skip
    twice = completed({"composition": "PbTiO3", "n_atoms": 10})
    assert (twice["composition"], twice["n_atoms"]) == ({82: 2, 22: 2, 8: 6}, 10)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"composition": "PbTiO3", "anonymous_formula": "ABC3"}, "give one of the two"),
        ({"composition": "PbTiO3", "elements": ["Pb", "O"]}, "holds Ti, which `elements` does not allow"),
        ({"composition": "PbTiO3", "n_atoms": 7}, "cells of PbTiO3 hold a multiple of 5"),
        ({"anonymous_formula": "A2B2", "n_atoms": 3}, "cells of A2B2 hold a multiple of 2"),
        ({"anonymous_formula": "ABC3", "elements": ["O"]}, "needs 3 elements"),
    ],
)
def test_what_cannot_be_meant_at_once(asked: dict[str, object], words: str) -> None:
    assert words in (contradiction(asked) or "")


def test_every_condition_describes_what_it_finds_fulfilled() -> None:
    """What a crystal shows, asked of it, it fulfils."""
    for condition in CONDITIONS:
        for index, shown in enumerate(condition.describe(MADE, {})):
            assert shown is not None
            assert condition.fulfilled(MADE, shown)[index], condition.name


def test_names_are_unique_and_unknown_ones_are_refused() -> None:
    assert len(BY_NAME) == len(CONDITIONS)
    with pytest.raises(ValueError, match="colour: no condition; there are elements, "):
        unfulfilled(MADE, {"colour": "red"})
