"""Which candidates pass, and in what order."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .criteria import CRITERIA
from .criterion import Criterion, Finding

FIRST, LAST = "crystals", "selected"
# counted also where nothing of them is required: what a funnel has always had
COUNTED = ("valid", "unique", "novel")
STAGES: tuple[str, ...] = (FIRST, *dict.fromkeys(criterion.stage for criterion in CRITERIA), LAST)
"""All stages that a funnel can have, in their order."""


def required(require: Iterable[str]) -> list[Criterion]:
    """Return the criteria that candidates must pass."""
    names = set(require)
    return [criterion for criterion in CRITERIA if criterion.always or criterion.name in names]


def funnel_masks(findings: dict[str, Finding], count: int, require: Iterable[str]) -> dict[str, np.ndarray]:
    """Return who is left after each stage, (B,) bool; a test that is not required lets everyone pass.

    :param findings: name of a criterion -> what it found, of those that could be judged.
    :param count: B.
    """
    left = np.ones(count, dtype=bool)
    masks = {FIRST: left}
    applied = {criterion.name for criterion in required(require)} & set(findings)
    for criterion in CRITERIA:
        if criterion.name in applied:
            left = left & findings[criterion.name].passed
        if criterion.name in applied or (criterion.name in findings and criterion.stage in COUNTED):
            masks[criterion.stage] = left
    return {name: masks[name] for name in STAGES if name in masks}


def order(passing: np.ndarray, values: np.ndarray | None, descending: bool) -> np.ndarray:
    """Return the indices that pass, best first; without a value to rank by, in the order given.

    Crystals without a prediction are left out. Equal values keep their order.
    """
    indices = np.flatnonzero(passing)
    if values is None:
        return indices
    indices = indices[np.isfinite(values[indices])]
    return indices[np.argsort(-values[indices] if descending else values[indices], kind="stable")]


def first_failed(findings: dict[str, Finding], require: Iterable[str]) -> dict[str, int]:
    """Return how many crystals each required criterion sets aside, each counted at the first that it fails."""
    left: np.ndarray | None = None
    counts = {}
    for criterion in required(require):
        if criterion.name in findings:
            passed = findings[criterion.name].passed
            before = np.ones(len(passed), dtype=bool) if left is None else left
            counts[criterion.name] = int((before & ~passed).sum())
            left = before & passed
    return counts
