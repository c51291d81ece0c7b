"""What a round came to, by hand-made summaries."""

from __future__ import annotations

from typing import Any

import pytest

from aiida_icsg3d.workflows.campaign.figures import FORMATION, HEIGHT, counts_of, entries_of, error_of, errors_of


def candidate(name: str, height: float | None, formation: float = -3.0, **more: Any) -> dict[str, Any]:
    relax = None if height is None else {"status": "relaxed", HEIGHT: height, FORMATION: formation,
                                             "dft_hull": {"lower_by": 0.0}}  # fmt: skip
    return {"id": name, "formula": "PbTiO3", "novel": True, "known_formula": False, "relax": relax,
            "prerelax": {"potential": "chgnet", "estimated_formation_energy_per_atom": formation + 0.3},
            "predicted_heat": 0.2, **more}  # fmt: skip


SUMMARY = {
    "funnel": {"sampled": 8, "relaxed": 4},
    "candidates": [
        candidate("a", 0.0), candidate("b", 0.05, -2.0, known_formula=True), candidate("c", 0.30, -1.0),
        candidate("d", 0.08, -2.5, novel=False), candidate("e", None),
    ],
}  # fmt: skip


def test_stable_and_new() -> None:
    entries = entries_of(SUMMARY, 1, 0.1)
    assert [entry["stable"] for entry in entries] == [True, True, False, True, None]
    assert [entry["new"] for entry in entries] == [True, False, True, False, True]
    counts = counts_of(entries, SUMMARY["funnel"])
    assert (counts["judged"], counts["stable"], counts["stable_new"], counts["sampled"]) == (4, 3, 1, 8)
    entries[0]["found_before"] = "round_01_a"
    assert counts_of(entries, {})["stable_new"] == 0
    assert counts_of(entries, {})["stable_unique"] == 2


def test_what_only_missing_phases_can_tell_is_undecided() -> None:
    """A hull without MgO called MgAlO3 stable."""
    doubtful, sure, high = candidate("a", 0.02), candidate("b", 0.02), candidate("c", 0.4)
    doubtful["relax"]["dft_hull"] = {"lower_by": 0.5}
    sure["relax"]["dft_hull"] = {"lower_by": 0.05}
    high["relax"]["dft_hull"] = {"lower_by": None}
    entries = entries_of({"candidates": [doubtful, sure, high]}, 1, 0.1)
    assert [entry["stable"] for entry in entries] == [None, True, False]
    counts = counts_of(entries, {})
    assert (counts["judged"], counts["undecided"], counts["stable_new"]) == (3, 1, 1)


def test_what_has_an_imaginary_mode_is_not_stable() -> None:
    """Cubic lead titanate lies within 0.1 eV/atom of its hull, and what is stable is the tetragonal one."""
    minimum, saddle, failed = candidate("a", 0.02), candidate("b", 0.02), candidate("c", None)
    minimum["relax"] |= {"dynamically_stable": True, "lowest_frequency_THz": 2.0}
    saddle["relax"] |= {"dynamically_stable": False, "lowest_frequency_THz": -5.0}
    entries = entries_of({"candidates": [minimum, saddle, failed]}, 1, 0.1)
    assert [entry["stable"] for entry in entries] == [True, False, None]
    assert entries[1]["relax"]["lowest_frequency_THz"] == -5.0
    counts = counts_of(entries, {})
    assert (counts["judged"], counts["imaginary"], counts["stable"]) == (2, 1, 1)


def test_without_a_list_of_known_compounds_nothing_is_called_new() -> None:
    (entry,) = entries_of({"candidates": [candidate("a", 0.0, known_formula=None)]}, 1, 0.1)
    assert entry["new"] is False


def test_errors_of_a_constant_shift() -> None:
    """The potential is 0.3 eV/atom high everywhere: its order is right, and so it is once the shift is off."""
    found = errors_of(entries_of(SUMMARY, 1, 0.1), {"heat": HEIGHT})
    assert found["chgnet"] == pytest.approx({"n": 4, "mae": 0.3, "shift": 0.3, "mae_shifted": 0, "rank_correlation": 1})
    assert found["predicted heat"]["n"] == 4
    assert found["predicted heat"]["mae"] == pytest.approx((0.2 + 0.15 + 0.1 + 0.12) / 4)
    assert "rank_correlation" not in found["predicted heat"]  # it says the same of all


def test_one_candidate_has_an_error_and_no_correlation() -> None:
    assert error_of([(1.0, 0.5)]) == {"n": 1, "mae": 0.5, "shift": 0.5, "mae_shifted": 0.0}


def test_a_round_that_found_nothing() -> None:
    assert counts_of(entries_of({"candidates": []}, 2, 0.1), {}) == {
        "judged": 0, "undecided": 0, "imaginary": 0, "stable": 0, "stable_unique": 0, "stable_new": 0,
    }  # fmt: skip
