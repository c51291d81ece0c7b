"""Crystals on the device, ready to be voxelised in batches while training."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..datasets import Dataset
from ..fields.batches import CrystalBatch, to_batch


def part_batch(dataset: Dataset, part: str, device: torch.device) -> CrystalBatch:
    """Return one part of the dataset as padded tensors on the device; an empty part gives an empty batch."""
    indices = (
        dataset.part(part) if part == "train" else np.flatnonzero(dataset.split == {"validation": 1, "test": 2}[part])
    )
    return to_batch(dataset.crystals.take(indices)).to(device)


def known_elements(dataset: Dataset) -> list[int]:
    """Return the atomic numbers of the training part, sorted."""
    return sorted(int(z) for z in np.unique(dataset.crystals.take(dataset.part("train")).numbers))


def class_table(elements: list[int], device: torch.device) -> Tensor:
    """Return a table from atomic number to class index, -1 where the element is unknown."""
    table = torch.full((max(elements) + 1 if max(elements) >= 118 else 119,), -1, dtype=torch.long, device=device)
    table[torch.tensor(elements, device=device)] = torch.arange(len(elements), device=device)
    return table


def substitute_elements(numbers: Tensor, elements: list[int], rate: float, generator: torch.Generator) -> Tensor:
    """Replace, in a share of the crystals, every element by another one drawn at random.

    All sites of one element change together. The geometry stays, so the crystal is not a physical one; it
    teaches a network to carry any composition through, which a few thousand compositions do not.

    :param numbers: (B, S) atomic numbers, 0 for padding.
    :param rate: probability that an element of a crystal is replaced.
    """
    device = numbers.device
    pool = torch.tensor(elements, device=device)
    draw = pool[torch.randint(len(pool), (len(numbers), 119), generator=generator, device=device)]
    keep = torch.rand((len(numbers), 119), generator=generator, device=device) >= rate
    table = torch.where(keep, torch.arange(119, device=device).expand(len(numbers), -1), draw)
    return torch.where(numbers > 0, table.gather(1, numbers), numbers)
