"""What the operations of a space group make of every block of voxels, as numbers for a network.

A space group says which orbits there are; where they lie in a cell follows from where its operations stand. Told of the
number of the group alone, a network that makes a crystal about one of its atoms has to guess on which of the axes,
mirrors and centres that atom lies. Here it sees them: for every block the mean, over the operations x -> W x + t, of
learned features of how far and where each takes the block, and how nearly the points in it are fixed.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor, nn

from ...crystals.operations import Operations
from .periodic import Linear

FEATURES = 32  # learned, of an operation at a block
FIXED = 0.6  # Å, within which a point is as good as fixed
NEAR, FAR = 0.8, 2.5  # Å, of the displacement of the middle of a block
LARGEST = math.log(48.0)  # of the number of operations of a primitive cell
INPUTS = 9 + 6 + 3
MIDDLE, CORNERS = 0.375, (0.125, 0.625)  # of a block of four points, and of the pairs of its points


class SymmetryMap(nn.Module):
    """Channels for a network on blocks of voxels.

    :param channels: of the network.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.image = Linear(INPUTS, FEATURES)
        self.leave = Linear(FEATURES + len(CORNERS) ** 3 + 1, channels)

    def forward(self, operations: Operations, cell: Tensor, blocks: tuple[int, int, int]) -> Tensor:
        """Return (B, channels, mx, my, mz).

        :param operations: of each crystal, in its cell. :param cell: (B, 3, 3) Å.
        :param blocks: along each lattice vector.
        """
        with torch.autocast(cell.device.type, enabled=False):  # places need all their digits
            middle, length = displacements(operations, cell, points_of(blocks, (MIDDLE,), cell.device))
            turns = operations.rotations.flatten(2)[:, None].expand(-1, middle.shape[1], -1, -1)
            angle = 2 * math.pi * middle
            near = [length / 5, (-0.5 * (length / NEAR) ** 2).exp(), (-0.5 * (length / FAR) ** 2).exp()]
            seen = torch.cat([turns, angle.sin(), angle.cos(), torch.stack(near, dim=-1)], dim=-1)
            fixed = fixedness(operations, cell, points_of(blocks, CORNERS, cell.device))
        images = nn.functional.silu(self.image(seen))  # (B, M, O, F)
        mean = torch.einsum("bmof,bo->bmf", images, operations.share.to(images.dtype))
        fixed = fixed.reshape(len(cell), mean.shape[1], -1).to(mean.dtype)
        told = self.leave(torch.cat([mean, fixed, torch.ones_like(mean[..., :1])], dim=-1))
        result: Tensor = told.transpose(1, 2).reshape(len(cell), -1, *blocks)
        return result


@lru_cache(maxsize=1024)
def points_of(blocks: tuple[int, int, int], within: tuple[float, ...], device: torch.device) -> Tensor:
    """Return fractional coordinates of points of all blocks, (M, 3), those of one block one after the other.

    :param within: places along each lattice vector, in blocks from the first point of a block.
    """
    size = torch.tensor(blocks, device=device)
    first = torch.cartesian_prod(*(torch.arange(n, device=device) for n in blocks)).reshape(-1, 3)
    inner = torch.tensor(within, device=device)
    inner = torch.cartesian_prod(inner, inner, inner).reshape(-1, 3)
    return ((first[:, None] + inner) / size).reshape(-1, 3)


def displacements(operations: Operations, cell: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Return where operations take points, from where they are, (B, M, O, 3) fractional, and how far in Å, (B, M, O).

    How far is a function of the cell that has no seams: |sum of (exp(2 pi i d) - 1) a / 2 pi| over the lattice vectors
    a is the length of d where that is short, and 0 for whole d alone. A nearest image would have ties.

    :param points: (M, 3) fractional coordinates.
    """
    turns = operations.rotations - torch.eye(3, device=points.device)
    moved = torch.einsum("boij,mj->bmoi", turns, points) + operations.translations[:, None]
    angle = 2 * math.pi * moved
    around = torch.stack([angle.cos() - 1, angle.sin()], dim=-2) / (2 * math.pi)  # (B, M, O, 2, 3)
    return moved, torch.einsum("bmopi,bij->bmopj", around, cell).flatten(-2).norm(dim=-1)


def fixedness(operations: Operations, cell: Tensor, points: Tensor) -> Tensor:
    """Return how many operations leave points where they are, (B, M): 0 for the identity alone, 1 for all of 48."""
    _, length = displacements(operations, cell, points)
    there = (operations.share > 0)[:, None]
    count = torch.where(there, (-0.5 * (length / FIXED) ** 2).exp(), 0.0).sum(dim=2)
    return count.clamp(min=1.0).log() / LARGEST
