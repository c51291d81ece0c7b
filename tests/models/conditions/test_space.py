"""Conditions as numbers: the vector that a prior is told, and the conditions in it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from icsg3d_models.conditions import CONDITIONS, Known
from icsg3d_models.conditions.condition import Encoding
from icsg3d_models.conditions.crystal_system import CRYSTAL_SYSTEMS, crystal_system
from icsg3d_models.conditions.space import Block, ConditionSpace, blocks_of
from icsg3d_models.conditions.stoichiometry import CODES
from icsg3d_models.crystals.batch import Crystals

KNOWN = Known([6, 8, 22, 82], {"energy": (-1.0, 2.0)})
NAMES = [*(condition.name for condition in CONDITIONS), "target energy"]
SPACE = ConditionSpace(blocks_of(NAMES, KNOWN), KNOWN)
IDEAL = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
SOME = Crystals.from_arrays(
    [np.eye(3) * 3.9, np.diag([2.5, 2.6, 4.1])],
    [IDEAL, np.array([[0.1, 0.2, 0.1], [0.6, 0.7, 0.4]])],
    [np.array([82, 22, 8, 8, 8]), np.array([6, 6])],
    ["PbTiO3", "C2"],
)
SHOWN = {
    "elements": (8, 22, 82), "composition": {82: 1, 22: 1, 8: 3}, "anonymous_formula": (3, 1, 1), "n_atoms": 5,
    "crystal_system": "cubic", "space_group": 221, "density": 8.484, "target energy": 1.0,
}  # fmt: skip


def test_a_condition_stands_in_its_block_and_nothing_else_is_asked_for() -> None:
    row = SPACE.vector({"composition": {82: 1, 22: 1, 8: 3}})
    shares, codes = np.split(row[SPACE.blocks["composition"]], [4])
    assert shares.tolist() == pytest.approx([0, 0.6, 0.2, 0.2])
    expected = (0.6 * CODES[8] + 0.2 * CODES[22] + 0.2 * CODES[82]).tolist()
    assert codes.tolist() == pytest.approx([*expected, 1.0], abs=1e-6)
    row[SPACE.blocks["composition"]] = 0
    assert not row.any()
    assert not SPACE.vector({}).any()
    assert SPACE.vector({"target energy": 3.0})[SPACE.blocks["target energy"]].tolist() == [2.0, 1.0]
    assert SPACE.vector({"elements": (8, 82)})[SPACE.blocks["elements"]].tolist() == [0, 1, 0, 1, 1]
    group = SPACE.vector({"space_group": 221})[SPACE.blocks["space_group"]]
    assert np.flatnonzero(group).tolist() == [220, 230]
    assert SPACE.vector({"density": 5.0 * math.e})[SPACE.blocks["density"]].tolist() == pytest.approx([2.0, 1.0])


def test_what_a_space_has_no_block_for_is_left_out() -> None:
    few = ConditionSpace(blocks_of(["elements"], KNOWN), KNOWN)
    np.testing.assert_array_equal(few.vector(SHOWN), few.vector({"elements": SHOWN["elements"]}))
    assert few.size == 5


def test_an_anonymous_formula_is_the_same_whatever_the_elements_are() -> None:
    place = SPACE.blocks["anonymous_formula"]
    one, other = (SPACE.vector({"anonymous_formula": a})[place] for a in ((1, 1, 3), (6, 2, 2)))
    np.testing.assert_array_equal(one, other)
    assert one[:4].tolist() == pytest.approx([0.6, 0.2, 0.2, 0.0])


def test_numbers_of_sites_are_told_apart() -> None:
    rows = np.stack([SPACE.vector({"n_atoms": n})[SPACE.blocks["n_atoms"]] for n in range(1, 101)])
    apart = np.linalg.norm(rows[:, None] - rows, axis=2) + 10 * np.eye(100)
    assert apart.min() > 0.02


@pytest.mark.parametrize(
    ("number", "system"),
    [(0, None), (1, "triclinic"), (2, "triclinic"), (3, "monoclinic"), (15, "monoclinic"), (16, "orthorhombic"),
     (74, "orthorhombic"), (75, "tetragonal"), (142, "tetragonal"), (143, "trigonal"), (167, "trigonal"),
     (168, "hexagonal"), (194, "hexagonal"), (195, "cubic"), (230, "cubic")],
)  # fmt: skip
def test_crystal_systems_by_the_international_tables(number: int, system: str | None) -> None:
    assert crystal_system(number) == system
    assert system is None or system in CRYSTAL_SYSTEMS


def test_a_crystal_is_described_by_what_is_true_of_it() -> None:
    rows = SPACE.describe(SOME, {"energy": np.array([1.0, np.nan])})
    np.testing.assert_allclose(rows[0], SPACE.vector(SHOWN), atol=1e-3)
    assert not rows[1, SPACE.blocks["target energy"]].any()
    for name, place in SPACE.blocks.items():
        if name != "target energy":
            assert rows[1, place.stop - 1] == 1.0, name


def test_a_batch_is_described_as_its_crystals_are() -> None:
    energy = np.array([1.0, -0.5])
    both = SPACE.describe(SOME, {"energy": energy})
    for index in range(2):
        alone = SPACE.describe(SOME.take([index]), {"energy": energy[index : index + 1]})
        np.testing.assert_array_equal(alone[0], both[index])


def test_a_model_names_its_conditions_so_that_the_list_may_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a condition more at the head of the list, a space that was stored before is what it was."""
    from icsg3d_models.conditions import listed

    class Charge(type(CONDITIONS[3])):  # type: ignore[misc]
        name = "charge"

    before = [block.model_dump() for block in blocks_of(NAMES[:3], KNOWN)]
    expected = ConditionSpace([Block(**block) for block in before], KNOWN).vector(SHOWN)
    monkeypatch.setitem(listed.BY_NAME, "charge", Charge())
    again = ConditionSpace([Block(**block) for block in before], KNOWN)
    np.testing.assert_array_equal(again.vector(SHOWN), expected)
    more = ConditionSpace(blocks_of(["charge", *NAMES[:3]], KNOWN), KNOWN)
    assert more.size == again.size + 9


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"name": "colour", "width": 3}, "colour: no condition; there are elements"),
        ({"name": "crystal_system", "width": 6}, "told of crystal_system in 6 numbers, this release encodes it in 7"),
    ],
)
def test_what_this_release_does_not_have_is_refused(block: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ConditionSpace([Block.model_validate(block)], KNOWN)


def test_a_condition_is_named_once() -> None:
    with pytest.raises(ValueError, match="name each once"):
        blocks_of(["elements", "elements"], KNOWN)


@pytest.mark.parametrize("name", NAMES)
def test_widths_are_those_of_the_numbers(name: str) -> None:
    encoding: Encoding[object] = SPACE.encodings[name]
    found = encoding.encode([SHOWN[name]] * 3, KNOWN)
    assert found.shape == (3, encoding.width(KNOWN))
    assert encoding.words(SHOWN[name])
