"""Crystals as padded tensors, the form in which fields and networks take them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..crystals.batch import Crystals


@dataclass(frozen=True)
class CrystalBatch:
    """B crystals padded to S sites.

    :param cell: (B, 3, 3) float32, Å; rows are the lattice vectors.
    :param frac: (B, S, 3) float32, fractional coordinates.
    :param numbers: (B, S) int64, atomic numbers; 0 where there is no site.
    :param told: (B,) float32, what a conditional autoencoder is told of each crystal; None: nothing.
    """

    cell: Tensor
    frac: Tensor
    numbers: Tensor
    told: Tensor | None = None

    def __len__(self) -> int:
        return self.cell.shape[0]

    @property
    def mask(self) -> Tensor:
        """(B, S) True where there is a site."""
        return self.numbers > 0

    def to(self, device: torch.device | str) -> CrystalBatch:
        """Return the batch on another device."""
        told = None if self.told is None else self.told.to(device)
        return CrystalBatch(self.cell.to(device), self.frac.to(device), self.numbers.to(device), told)

    def take(self, indices: np.ndarray | Tensor) -> CrystalBatch:
        """Return the chosen crystals."""
        chosen = torch.as_tensor(indices, device=self.cell.device)
        told = None if self.told is None else self.told[chosen]
        return CrystalBatch(self.cell[chosen], self.frac[chosen], self.numbers[chosen], told)

    def trimmed(self) -> CrystalBatch:
        """Return the batch without the columns in which no crystal has a site."""
        width = int(self.mask.sum(dim=1).max()) if len(self) else 0
        return CrystalBatch(self.cell, self.frac[:, :width], self.numbers[:, :width], self.told)


def to_batch(crystals: Crystals, told: np.ndarray | None = None) -> CrystalBatch:
    """Pad crystals to the largest number of sites among them.

    :param told: (B,) what is said of each crystal.
    """
    counts = crystals.counts
    width = int(counts.max(initial=1))
    column = np.arange(int(crystals.offsets[-1])) - np.repeat(crystals.offsets[:-1], counts)
    frac = np.zeros((len(crystals), width, 3), dtype=np.float32)
    numbers = np.zeros((len(crystals), width), dtype=np.int64)
    frac[crystals.owner, column] = crystals.frac
    numbers[crystals.owner, column] = crystals.numbers
    return CrystalBatch(
        torch.from_numpy(crystals.cell.astype(np.float32)), torch.from_numpy(frac), torch.from_numpy(numbers),
        None if told is None else torch.from_numpy(told.astype(np.float32)),
    )  # fmt: skip
