"""When a campaign ends."""

from __future__ import annotations

from typing import Any

import pytest

from aiida_icsg3d.workflows.campaign.limits import check_limits, reason_to_stop


def rounds(*stable_new: int, hours: float = 1.0) -> list[dict[str, Any]]:
    return [{"counts": {"stable_new": count}, "core_hours": hours} for count in stable_new]


@pytest.mark.parametrize(
    ("done", "limits", "reason"),
    [
        (rounds(), {"rounds": 3}, None),
        (rounds(0, 0), {"rounds": 3}, None),
        (rounds(0, 0, 0), {"rounds": 3}, "3 rounds are done"),
        (rounds(2, 3), {"rounds": 9, "stable_new": 5}, "5 stable new crystals are found, 5 were wanted"),
        (rounds(2, 2), {"rounds": 9, "stable_new": 5}, None),
        (rounds(1, 1, hours=0.6), {"rounds": 9, "core_hours": 1.2}, "1.20 core-hours of DFT are spent, of 1.2"),
        (rounds(1, 1, hours=0.5), {"rounds": 9, "core_hours": 1.2}, None),
        (rounds(1, 0, 0), {"rounds": 9, "patience": 2}, "the last 2 rounds found no stable new crystal"),
        (rounds(0, 1), {"rounds": 9, "patience": 2}, None),
    ],
)
def test_reasons(done: list[dict[str, Any]], limits: dict[str, float], reason: str | None) -> None:
    assert reason_to_stop(done, limits) == reason


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"rounds": 3, "core_hours": 0}, "core_hours is 0; a number above 0 is needed: core-hours of DFT in all"),
        ({"rounds": 0}, "rounds is 0; a whole number above 0"),
        ({"rounds": 2.5}, "rounds is 2.5; a whole number"),
        ({"stable_new": 3}, "rounds is missing"),
        ({"rounds": 3, "budget": 5}, "budget: accepted are rounds, stable_new, core_hours, patience"),
        ({"rounds": True}, "rounds is True"),
    ],
)
def test_limits_that_cannot_be_meant(limits: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_limits(limits)


def test_what_is_not_set_limits_nothing() -> None:
    assert check_limits({"rounds": 2, "core_hours": None}) == {"rounds": 2}
