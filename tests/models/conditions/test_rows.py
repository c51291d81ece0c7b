"""What every sample is asked to be: a composition of its own, and what is said where there is none."""

from __future__ import annotations

import numpy as np

from icsg3d_models.conditions import Known
from icsg3d_models.conditions.patterns import Pattern
from icsg3d_models.conditions.rows import rows_of
from icsg3d_models.conditions.space import ConditionSpace, blocks_of

KNOWN = Known([8, 11, 17, 26])
SPACE = ConditionSpace(blocks_of(["elements", "composition", "anonymous_formula"], KNOWN), KNOWN)
# Of this pattern nearly all that is drawn is not neutral (NaCl2), so that 200 tries fail at times.
RARE = [
    Pattern(amounts=[2, 1], count=500, places=[{17: 500}, {11: 490, 26: 10}]),
]


def test_one_sample_without_a_composition_does_not_strip_the_others() -> None:
    """FeCl2 is 2 % of what is drawn; one in sixty samples does not meet it in 200 tries."""
    said: list[str] = []
    rows = rows_of(SPACE, RARE, {"elements": ["Na", "Cl", "Fe"]}, 200, 0, said.append)
    place = SPACE.blocks["composition"]
    told = rows[:, place.stop - 1] == 1.0
    without = np.flatnonzero(~told)
    assert 0 < len(without) < 20
    assert told[without[0] + 1 :].any()
    iron = SPACE.vector({"composition": {17: 2, 26: 1}})[place]
    assert all(np.array_equal(row[place], iron) for row in rows[told])
    assert said == [
        f"{len(without)} of 200 samples were given no composition: none of those drawn passes the test of validity"
    ]
    # a sample depends on its number and the seed only
    fewer = rows_of(SPACE, RARE, {"elements": ["Na", "Cl", "Fe"]}, 90, 0, said.append)
    np.testing.assert_array_equal(fewer, rows[:90])


def test_where_no_pattern_fits_it_is_said_once() -> None:
    said: list[str] = []
    rows = rows_of(SPACE, RARE, {"elements": ["O"]}, 4, 0, said.append)
    assert not rows[:, SPACE.blocks["composition"]].any()
    assert rows[:, SPACE.blocks["elements"]].tolist() == [[1, 0, 0, 0, 1]] * 4
    assert len(said) == 1
