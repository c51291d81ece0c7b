"""Targets that a network can learn: known often enough, not all alike, and without values that are far off."""

from __future__ import annotations

import numpy as np

from ..data.datasets import Dataset
from ..results import StageError

FAR = 1e4  # times the spread of the others: in float32 these would hardly differ any more
TRIMMED = 0.01  # share of the values that may be far off without being what the spread is taken from
LARGEST = float(np.finfo(np.float32).max)


def check_targets(names: list[str], dataset: Dataset, validated: bool) -> None:
    """Check the targets in the training part, and that the validation part says something about each.

    :param validated: whether the loss of the validation is made of the targets alone.
    :raises StageError: a target with too few values, all alike, far off, or with none in the validation part.
    """
    for name in names:
        column = dataset.values(name)
        known = column[dataset.part("train")]
        known = known[np.isfinite(known)]
        if len(known) < 2 or known.min() == known.max():
            alike = ", all alike" if len(known) > 1 else ""
            raise StageError(
                "input_incompatible",
                f"target {name!r} has {len(known)} known values in the training part{alike}; "
                "nothing can be learned from them",
            )
        if far := far_off(column):
            listed = ", ".join(f"{dataset.crystals.ids[i]} ({column[i]:g})" for i in far[:5])
            more = f" and {len(far) - 5} more" if len(far) > 5 else ""
            raise StageError(
                "input_incompatible",
                f"target {name!r} is far off in {listed}{more}, where the others lie between "
                f"{np.nanmin(np.delete(column, far)):g} and {np.nanmax(np.delete(column, far)):g}; "
                "correct these values, or leave the crystals out",
            )
        held_out = column[dataset.split == 1]
        if validated and len(held_out) and not np.isfinite(held_out).any():
            raise StageError(
                "input_incompatible",
                f"no known value of {name!r} in the validation part, by which the best weights are chosen; prepare the "
                "dataset with `required`, another `seed` or a larger share of validation",
            )


def far_off(values: np.ndarray) -> list[int]:
    """Return the indices of values that are infinite in float32, or very far from nearly all others.

    :param values: (B,), NaN where missing.
    """
    known = np.flatnonzero(~np.isnan(values))
    too_large = np.abs(values[known]) > LARGEST
    sound = values[known[~too_large]]
    far = set(known[too_large].tolist())
    if len(sound) > 2:
        apart = np.abs(sound - np.median(sound))
        kept = np.sort(apart)[: len(sound) - max(1, int(TRIMMED * len(sound)))]
        spread = float(np.sqrt(np.mean(kept**2)))
        if spread > 0:
            far |= set(known[~too_large][apart > FAR * spread].tolist())
    return sorted(far)
