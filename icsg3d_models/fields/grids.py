"""Which grid the fields of a crystal are on: the same number of points for all, or the same spacing in Å for all.

With a fixed spacing a large cell has more points than a small one, so that networks that only look at neighbouring
points see every crystal at one scale. Crystals on equal grids are computed together.
"""

from __future__ import annotations

import torch
from torch import Tensor

Grid = tuple[int, int, int]
MULTIPLE = 4  # points: two halvings of the resolution


def grid_sizes(cell: Tensor, points: int, spacing: float | None) -> Tensor:
    """Return the points along each lattice vector, (B, 3) int64.

    :param cell: (B, 3, 3) Å, rows are lattice vectors.
    :param points: of every crystal, where no spacing is given.
    :param spacing: Å, at most this far from point to point along a lattice vector; a multiple of 4 points.
    """
    if spacing is None:
        return torch.full((len(cell), 3), points, dtype=torch.long, device=cell.device)
    blocks = (cell.norm(dim=2) / (MULTIPLE * spacing)).nan_to_num(nan=1.0, posinf=1.0).ceil().clamp(min=1)
    return MULTIPLE * blocks.long()


def same_grids(sizes: Tensor) -> list[tuple[Grid, Tensor]]:
    """Return each grid that occurs with the rows that have it, in ascending order."""
    found, which = torch.unique(sizes, dim=0, return_inverse=True)
    groups = []
    for index, (nx, ny, nz) in enumerate(found.tolist()):
        groups.append(((nx, ny, nz), (which == index).nonzero()[:, 0]))
    return groups


def half(grid: Grid) -> Grid:
    """Return the grid of the species channels, half as fine."""
    return grid[0] // 2, grid[1] // 2, grid[2] // 2


def cube(points: int) -> Grid:
    """Return the grid with as many points along every lattice vector."""
    return points, points, points
