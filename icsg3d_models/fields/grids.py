"""Which grid the fields of a crystal are on: the same number of points for all, or the same spacing in Å for all.

With a fixed spacing a large cell has more points than a small one, so that networks that only look at neighbouring
points see every crystal at one scale. Crystals on equal grids are computed together.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..crystals.batch import CrystalError

Grid = tuple[int, int, int]
MULTIPLE = 4  # points: two halvings of the resolution
FINER, FINEST = 0.8, 0.7  # of the spacing that networks were trained with: what rebuilds best, and what they still know
MOST_POINTS = 2**24  # of one crystal, 64 MB of occupancy: a cell of 100 Å along every vector at 0.4 Å


def grid_sizes(cell: Tensor, points: int, spacing: float | None) -> Tensor:
    """Return the points along each lattice vector, (B, 3) int64.

    :param cell: (B, 3, 3) Å, rows are lattice vectors.
    :param points: of every crystal, where no spacing is given.
    :param spacing: Å, at most this far from point to point along a lattice vector; a multiple of 4 points.
    :raises CrystalError: a cell so large that its fields would not fit into memory.
    """
    if spacing is None:
        return torch.full((len(cell), 3), points, dtype=torch.long, device=cell.device)
    blocks = (cell.norm(dim=2) / (MULTIPLE * spacing)).nan_to_num(nan=1.0, posinf=1.0).ceil().clamp(min=1)
    sizes = MULTIPLE * blocks.long()
    if len(sizes) and (points_of := sizes.double().prod(dim=1)).max() > MOST_POINTS:
        index = int(points_of.argmax())
        lengths = ", ".join(f"{x:.4g}" for x in cell[index].norm(dim=1).tolist())
        raise CrystalError(
            f"crystal {index}: lattice vectors of {lengths} Å need more than {MOST_POINTS} points {spacing} Å apart; "
            "is the unit right? Leave it out or take a wider spacing"
        )
    return sizes


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
