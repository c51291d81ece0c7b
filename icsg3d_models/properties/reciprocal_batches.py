"""Crystals as padded batches on the device, in reduced cells, so that few reciprocal vectors have to be tried."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch

from ..crystals.batch import Crystals
from ..crystals.cells import reduced_cells
from ..fields.batches import CrystalBatch, to_batch


class ReciprocalStore:
    """A set of crystals, and the work that their reciprocal vectors are.

    :param crystals: B crystals with finite, non-singular cells.
    :param limit: 1/Å; reciprocal vectors up to this length are wanted.
    :param device: where the batches are wanted.
    """

    def __init__(self, crystals: Crystals, limit: float, device: torch.device | str) -> None:
        cells, change = reduced_cells(crystals.cell)
        frac = np.einsum("ni,nij->nj", crystals.frac, np.linalg.inv(change)[crystals.owner])
        self.counts = crystals.counts
        reduced = Crystals(cells, frac % 1.0, crystals.numbers, crystals.offsets, crystals.ids)
        self.batch = to_batch(reduced).to(device)
        tried = 2 * np.floor(np.linalg.norm(cells, axis=2) * (limit / (2 * math.pi))) + 1  # (B, 3)
        self.work = tried.prod(axis=1) * (3 + self.counts)

    def __len__(self) -> int:
        return len(self.counts)

    def select(self, indices: np.ndarray) -> CrystalBatch:
        """Return the chosen crystals, in the order given, padded to the largest among them."""
        chosen = self.batch.take(indices)
        width = int(self.counts[indices].max(initial=1))
        return CrystalBatch(chosen.cell, chosen.frac[:, :width], chosen.numbers[:, :width])

    def batches(self, most_work: float = 2e7, most_crystals: int = 64) -> Iterator[tuple[np.ndarray, CrystalBatch]]:
        """Yield all crystals in order as (indices, batch), each batch of about ``most_work`` numbers at most."""
        start = 0
        while start < len(self):
            work = np.maximum.accumulate(self.work[start : start + most_crystals])
            size = max(1, int((work * np.arange(1, len(work) + 1) <= most_work).sum()))
            indices = np.arange(start, start + size)
            yield indices, self.select(indices)
            start += size
