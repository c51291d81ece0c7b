"""Who is chosen for an expensive look, by hand-made lists whose outcome is plain."""

from __future__ import annotations

import pytest

from icsg3d_models.screening.selection import Choice, Entry, choose, quotas

ENTRIES = [
    Entry("a", "PbTiO3", 0.00, 0.01),
    Entry("b", "PbTiO3", 0.01, 0.02),
    Entry("c", "PbTiO3", 0.02, 0.30),
    Entry("d", "MgTiO3", 0.05, 0.03),
    Entry("e", "Al2O3", 0.09, None),
    Entry("f", "MgO", None, None),
]


def test_best_come_first_and_what_has_no_value_last() -> None:
    assert [choice.id for choice in choose(ENTRIES[::-1], 6)] == list("abcdef")
    assert choose(ENTRIES, 2) == [Choice("a", "best"), Choice("b", "best")]


def test_diverse_takes_other_formulas() -> None:
    assert choose(ENTRIES, 3, {"best": 1, "diverse": 2}) == [
        Choice("a", "best"), Choice("d", "diverse"), Choice("e", "diverse"),
    ]  # fmt: skip


def test_uncertain_takes_the_largest_doubt() -> None:
    chosen = choose(ENTRIES, 2, {"best": 1, "uncertain": 1})
    assert chosen == [Choice("a", "best"), Choice("c", "uncertain")]


def test_places_that_a_kind_cannot_fill_go_to_the_best() -> None:
    one_formula = ENTRIES[:3]
    assert [choice.id for choice in choose(one_formula, 3, {"diverse": 1})] == list("abc")
    assert [choice.why for choice in choose([ENTRIES[4], ENTRIES[5]], 2, {"uncertain": 1})] == ["best", "best"]


def test_never_more_than_there_are_and_none_twice() -> None:
    chosen = choose(ENTRIES, 99, {"best": 0.5, "diverse": 0.3, "uncertain": 0.2})
    assert sorted(choice.id for choice in chosen) == list("abcdef")
    assert choose(ENTRIES, 0) == []


@pytest.mark.parametrize("count", range(1, 12))
def test_quotas_fill_every_place(count: int) -> None:
    places = quotas({"best": 0.6, "diverse": 0.3, "uncertain": 0.1}, count)
    assert sum(places.values()) == count
    assert places["best"] >= places["diverse"] >= places["uncertain"]


@pytest.mark.parametrize("shares", [{"bset": 1.0}, {"best": -1.0}, {"best": 0.0}, {"best": float("nan")}])
def test_shares_that_cannot_be_meant(shares: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="selection"):
        choose(ENTRIES, 1, shares)
