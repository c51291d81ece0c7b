"""Which candidates are worth an expensive look: the best, those unlike the best, and those least is known of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

KINDS = ("best", "diverse", "uncertain")
"""Why a candidate is chosen, in the order in which places are filled."""
DEFAULT_SHARES = {"best": 1.0, "diverse": 0.0, "uncertain": 0.0}


class Entry(NamedTuple):
    """A candidate that may be chosen.

    :param value: lower is better, as an energy above the hull; None: not known, after all others.
    :param uncertainty: of the value, as the difference of two potentials; None: not known.
    """

    id: str
    formula: str
    value: float | None
    uncertainty: float | None = None


class Choice(NamedTuple):
    """A candidate that was chosen, and why, a word of :data:`KINDS`."""

    id: str
    why: str


def check_shares(shares: Mapping[str, float]) -> dict[str, float]:
    """Return the share of every kind, those that are not named 0.

    :raises ValueError: an unknown kind, a negative share, or nothing to choose by.
    """
    if unknown := sorted(set(shares) - set(KINDS)):
        raise ValueError(f"selection: {', '.join(unknown)}: accepted are {', '.join(KINDS)}")
    found = {kind: float(shares.get(kind, 0.0)) for kind in KINDS}
    if any(not math.isfinite(share) or share < 0 for share in found.values()) or not sum(found.values()):
        raise ValueError(f"selection: shares {dict(shares)}; none may be negative, and one must be above 0")
    return found


def quotas(shares: Mapping[str, float], count: int) -> dict[str, int]:
    """Return how many places each kind has; what is left over goes to the largest remainders, `best` first."""
    checked = check_shares(shares)
    exact = {kind: count * share / sum(checked.values()) for kind, share in checked.items()}
    places = {kind: math.floor(value) for kind, value in exact.items()}
    by_remainder = sorted(KINDS, key=lambda kind: -(exact[kind] - places[kind]))
    for kind in by_remainder[: count - sum(places.values())]:
        places[kind] += 1
    return places


def choose(entries: Sequence[Entry], count: int, shares: Mapping[str, float] = DEFAULT_SHARES) -> list[Choice]:
    """Return at most ``count`` candidates with the reason of each, best value first.

    ``best`` takes the lowest values. ``diverse`` takes the lowest values among formulas that are not chosen yet, then
    among any. ``uncertain`` takes the largest uncertainties. A kind that finds nothing leaves its places to the best.

    :raises ValueError: shares that cannot be meant.
    """
    places = quotas(shares, count)
    ranked = sorted(entries, key=lambda entry: (entry.value is None, entry.value or 0.0))
    why: dict[str, str] = {}

    def take(candidates: Sequence[Entry], kind: str, most: int) -> None:
        for entry in [entry for entry in candidates if entry.id not in why][:most]:
            why[entry.id] = kind

    take(ranked, "best", places["best"])
    for _ in range(places["diverse"]):
        formulas = {entry.formula for entry in ranked if entry.id in why}
        take([entry for entry in ranked if entry.formula not in formulas], "diverse", 1)
    doubtful = [entry for entry in ranked if entry.uncertainty is not None]
    take(sorted(doubtful, key=lambda entry: -(entry.uncertainty or 0.0)), "uncertain", places["uncertain"])
    take(ranked, "best", count - len(why))
    return [Choice(entry.id, why[entry.id]) for entry in ranked if entry.id in why]
