"""When a campaign ends: rounds, stable new crystals, core-hours of DFT, or a yield that has stopped growing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

LIMITS: dict[str, str] = {
    "rounds": "rounds in all, those of the campaign that is gone on with among them",
    "stable_new": "stable new crystals in all, after which it ends",
    "core_hours": "core-hours of DFT in all, after which no round is begun",
    "patience": "rounds in a row without a stable new crystal, after which it ends",
}


def check_limits(limits: Mapping[str, Any]) -> dict[str, float]:
    """Return the limits that are set.

    :raises ValueError: an unknown one, one that is not above 0, or no number of rounds.
    """
    if unknown := sorted(set(limits) - set(LIMITS)):
        raise ValueError(f"limits: {', '.join(unknown)}: accepted are {', '.join(LIMITS)}")
    given = {name: value for name, value in limits.items() if value is not None}
    for name, value in given.items():
        wrong = isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0
        if wrong or (name != "core_hours" and value != int(value)):
            kind = "a number" if name == "core_hours" else "a whole number"
            raise ValueError(f"limits: {name} is {value!r}; {kind} above 0 is needed: {LIMITS[name]}")
    if "rounds" not in given:
        raise ValueError(f"limits: rounds is missing: {LIMITS['rounds']}")
    return given


def reason_to_stop(rounds: Sequence[Mapping[str, Any]], limits: Mapping[str, float]) -> str | None:
    """Return why no further round is begun, None where one is.

    :param rounds: what was recorded of each, see :func:`.history.record_round`.
    """
    found = sum(entry["counts"]["stable_new"] for entry in rounds)
    hours = math.fsum(entry["core_hours"] for entry in rounds)
    if len(rounds) >= limits["rounds"]:
        return f"{len(rounds)} rounds are done"
    if "stable_new" in limits and found >= limits["stable_new"]:
        return f"{found} stable new crystals are found, {limits['stable_new']:g} were wanted"
    if "core_hours" in limits and hours >= limits["core_hours"]:
        return f"{hours:.2f} core-hours of DFT are spent, of {limits['core_hours']:g}"
    patience = int(limits.get("patience", 0))
    if patience and len(rounds) >= patience and not any(r["counts"]["stable_new"] for r in rounds[-patience:]):
        return f"the last {patience} rounds found no stable new crystal"
    return None
