"""Crystals of a dataset that a system of a seed paper can take, by part; the others are left out, with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ....crystals.batch import Crystals
from ....data.datasets import PARTS, Dataset
from ....fields.batches import CrystalBatch, to_batch
from ....results import StageError


@dataclass(frozen=True)
class Parts:
    """What a training of a system has of a dataset.

    :param batches: part -> crystals on the device, none for an empty part.
    :param places: (n_train,) indices of the training crystals in the dataset.
    :param left_out: id -> why a crystal is not among them.
    """

    batches: dict[str, CrystalBatch]
    places: np.ndarray
    left_out: dict[str, str]


def parts_of(
    dataset: Dataset,
    refusals: Callable[[Crystals], list[str | None]],
    device: torch.device,
    told: str | None = None,
) -> Parts:
    """Return the crystals that can be taken.

    :param refusals: why each crystal cannot be, None where it can.
    :param told: property that must be known of each.
    :raises StageError: no training crystal can be taken.
    """
    reasons = refusals(dataset.crystals)
    values = None if told is None else dataset.values(told)
    if values is not None:
        known = np.isfinite(values)
        reasons = [why or (None if ok else f"its {told} is not known") for why, ok in zip(reasons, known, strict=True)]
    usable = np.array([why is None for why in reasons], dtype=bool)
    batches, places = {}, np.zeros(0, dtype=np.int64)
    for index, part in enumerate(PARTS):
        chosen = np.flatnonzero((dataset.split == index) & usable)
        places = chosen if part == "train" else places
        batches[part] = to_batch(dataset.crystals.take(chosen), None if values is None else values[chosen]).to(device)
    if not len(places):
        words = "; ".join(dict.fromkeys(why for why in reasons if why is not None))
        raise StageError("input_incompatible", f"no training crystal can be taken: {words or 'there is none'}")
    left_out = {name: why for name, why in zip(dataset.crystals.ids, reasons, strict=True) if why is not None}
    return Parts(batches, places, left_out)
