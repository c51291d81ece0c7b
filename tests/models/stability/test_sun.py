"""S.U.N. counted by hand."""

from __future__ import annotations

from typing import Any

import pytest

from icsg3d_models.stability.sun import count_sun

RELAXED = [
    {"id": "a", "estimated_e_above_hull": 0.15},  # not stable, but the first of its kind
    {"id": "b", "estimated_e_above_hull": 0.05},  # the same as a, and stable: its kind counts
    {"id": "c", "estimated_e_above_hull": 0.02},  # the same as a as well, and lower: counted in place of b
    {"id": "d", "estimated_e_above_hull": -0.01},  # stable, but known
    {"id": "e", "estimated_e_above_hull": 0.1},  # on the threshold
    {"id": "f", "estimated_e_above_hull": None},  # could not be relaxed
]
SCREENED = [
    {"id": "a", "duplicate_of": None, "novel": True},
    {"id": "b", "duplicate_of": "a", "novel": True},
    {"id": "c", "duplicate_of": "b", "novel": True},
    {"id": "d", "duplicate_of": None, "novel": False},
    {"id": "e", "duplicate_of": None, "novel": True},
]


def test_counted_by_hand() -> None:
    found = count_sun(RELAXED, SCREENED, generated=20)
    assert (found.judged, found.stable, found.unique, found.sun) == (5, 4, 3, 2)
    assert found.ids == ("c", "e")
    assert found.share == pytest.approx(0.1)
    assert "at most 0.1 eV/atom" in found.rule()
    assert "all 20 samples" in found.rule()
    assert count_sun(RELAXED, SCREENED, 20, threshold=0.03).sun == 1


def test_novelty_that_was_not_judged_is_not_zero() -> None:
    rows: list[dict[str, Any]] = [{**row, "novel": None} for row in SCREENED]
    found = count_sun(RELAXED, rows, generated=20)
    assert (found.unique, found.sun, found.share, found.ids) == (3, None, None, ())


@pytest.mark.parametrize(
    ("screened", "generated", "words"),
    [
        (SCREENED[:2], 20, "d, c, e: relaxed, but not screened"),
        (SCREENED, 4, "4 samples were asked for"),
        ([{**row, "duplicate_of": "b" if row["id"] == "a" else row["duplicate_of"]} for row in SCREENED], 20, "itself"),
    ],
)
def test_tables_that_do_not_belong_together(screened: list[dict[str, Any]], generated: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        count_sun(RELAXED, screened, generated)
