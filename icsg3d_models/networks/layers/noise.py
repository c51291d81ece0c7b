"""Random numbers that belong to a sample: by its number, the seed and a stream, however the samples are batched."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def noise_of(samples: list[int], shape: torch.Size | tuple[int, ...], seed: int, stream: int = 0) -> Tensor:
    """Return standard normal noise, (b, *shape), of chosen samples; for latents of many shapes.

    :param stream: another one gives other numbers for the same sample.
    """
    # Not torch's generator: of a seed it takes the last 32 bits only, so that streams would have to share them.
    rows = [
        np.random.default_rng((seed, stream, sample)).standard_normal(tuple(shape), dtype=np.float32)
        for sample in samples
    ]
    return torch.from_numpy(np.stack(rows))


class Rows:
    """Random numbers of sample after sample from one stream; for latents of one shape, twenty times as fast.

    numpy draws the numbers of a matrix one after the other, so that the first rows are the same however many follow;
    torch does not.
    """

    def __init__(self, seed: int, stream: int) -> None:
        self.generator = np.random.default_rng((seed, stream))

    def normal(self, count: int, size: int) -> Tensor:
        """Return standard normal numbers of the next samples, (count, size)."""
        return torch.from_numpy(self.generator.standard_normal((count, size), dtype=np.float32))

    def uniform(self, count: int, size: int) -> Tensor:
        """Return numbers between 0 and 1 of the next samples, (count, size) float64."""
        return torch.from_numpy(self.generator.random((count, size)))
