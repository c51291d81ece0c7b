"""Crystals as graphs on the device: neighbour lists made once, any selection joined into one graph."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from ..crystals.batch import Crystals
from ..crystals.neighbours import nearest_neighbours, neighbour_list
from ..networks.cgcnn import CrystalGraph


class GraphStore:
    """Graphs of a set of crystals.

    :param crystals: B crystals with finite, non-singular cells.
    :param cutoff: Å; pairs of sites closer than this are connected.
    :param device: where the graphs are wanted.
    :param nearest: of each site only so many neighbours, the nearest; None: all of them.
    """

    def __init__(
        self, crystals: Crystals, cutoff: float, device: torch.device | str, nearest: int | None = None
    ) -> None:
        self.counts, self.offsets = crystals.counts, crystals.offsets
        self.numbers = crystals.numbers
        self.device = torch.device(device)
        found = neighbour_list(crystals, cutoff)
        if nearest is not None:
            found = nearest_neighbours(found, nearest)
        self.pair_offsets = found.offsets
        self.pair_counts = np.diff(found.offsets)
        # 32-bit: a large dataset has 10⁸ pairs
        self.source, self.target = found.source.astype(np.int32), found.target.astype(np.int32)
        self.distance = found.distance.astype(np.float32)

    def __len__(self) -> int:
        return len(self.counts)

    def graph(self, indices: np.ndarray) -> CrystalGraph:
        """Return the chosen crystals as one graph, in the order given."""
        n, e = self.counts[indices], self.pair_counts[indices]
        first_site = np.cumsum(n) - n
        sites = np.arange(n.sum()) + np.repeat(self.offsets[indices] - first_site, n)
        pairs = np.arange(e.sum()) + np.repeat(self.pair_offsets[indices] - (np.cumsum(e) - e), e)
        shift = np.repeat(first_site - self.offsets[indices], e)

        def put(array: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(array).to(self.device)

        return CrystalGraph(
            numbers=put(self.numbers[sites]),
            owner=put(np.repeat(np.arange(len(indices)), n)),
            source=put(self.source[pairs] + shift),
            target=put(self.target[pairs] + shift),
            distance=put(self.distance[pairs]),
            size=len(indices),
        )

    def batches(self, most_pairs: int = 30_000) -> Iterator[tuple[np.ndarray, CrystalGraph]]:
        """Yield all crystals in order as (indices, graph), each graph of about ``most_pairs`` pairs at most."""
        group = (np.cumsum(self.pair_counts) - self.pair_counts) // most_pairs
        for value in np.unique(group):
            indices = np.flatnonzero(group == value)
            yield indices, self.graph(indices)
