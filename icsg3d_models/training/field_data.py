"""Crystals on the device, ready to be voxelised in batches while training."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..data.datasets import Dataset
from ..fields.batches import CrystalBatch, to_batch
from ..fields.grids import Grid, grid_sizes, same_grids


def part_batch(dataset: Dataset, part: str, device: torch.device) -> CrystalBatch:
    """Return one part of the dataset as padded tensors on the device; an empty part gives an empty batch."""
    indices = (
        dataset.part(part) if part == "train" else np.flatnonzero(dataset.split == {"validation": 1, "test": 2}[part])
    )
    return to_batch(dataset.crystals.take(indices)).to(device)


class GridBatches:
    """Crystals of each part of a dataset, with the grid of each.

    :ivar parts: part -> crystals.
    :ivar sizes: part -> (B, 3) points along each lattice vector.
    :ivar spacing: Å, from point to point; None where every crystal is on the same grid.
    """

    def __init__(self, dataset: Dataset, points: int, spacing: float | None, device: torch.device) -> None:
        self.parts = {name: part_batch(dataset, name, device) for name in ("train", "validation", "test")}
        self.sizes = {name: grid_sizes(batch.cell, points, spacing) for name, batch in self.parts.items()}
        self.spacing = spacing

    def take(self, part: str, rows: np.ndarray | Tensor) -> tuple[CrystalBatch, Grid]:
        """Return crystals that share a grid, and that grid."""
        nx, ny, nz = self.sizes[part][int(rows[0])].tolist()
        batch = self.parts[part].take(rows)
        return (batch if self.spacing is None else batch.trimmed()), (nx, ny, nz)

    def rows(self, part: str, size: int, chosen: Tensor | None = None) -> list[Tensor]:
        """Return all rows of a part, or the chosen ones, in pieces of at most ``size`` that share a grid."""
        if chosen is None:
            chosen = torch.arange(len(self.parts[part]), device=self.sizes[part].device)
        groups = same_grids(self.sizes[part][chosen])
        return [piece for _, rows in groups for piece in chosen[rows].split(size)]


def batches_of_one_grid(sizes: Tensor, size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return batches whose crystals share a grid, in random order; none is left out, so some are small.

    :param sizes: (B, 3) points along each lattice vector, see :func:`..fields.grids.grid_sizes`.
    """
    batches = []
    for _, rows in same_grids(sizes):
        order = rng.permutation(rows.cpu().numpy())
        batches += [order[start : start + size] for start in range(0, len(order), size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def known_elements(dataset: Dataset) -> list[int]:
    """Return the atomic numbers of the training part, sorted."""
    return sorted(int(z) for z in np.unique(dataset.crystals.take(dataset.part("train")).numbers))


def class_table(elements: list[int], device: torch.device) -> Tensor:
    """Return a table from atomic number to class index, -1 where the element is unknown."""
    table = torch.full((max(elements) + 1 if max(elements) >= 118 else 119,), -1, dtype=torch.long, device=device)
    table[torch.tensor(elements, device=device)] = torch.arange(len(elements), device=device)
    return table
