"""Targets that a network can learn: known often enough, not all alike, and without values that are far off."""

from __future__ import annotations

import numpy as np

from ..data.datasets import Dataset
from ..data.outliers import far_off
from ..results import StageError


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
