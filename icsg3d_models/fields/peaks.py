"""Sites from a field: maxima finer than the grid, and freed from what their neighbours add."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from .batches import CrystalBatch
from .density import gaussian_density, peak_height
from .grids import Grid
from .occupancy import OCCUPANCY_SIGMA

HIGHEST = 1.5  # of a site; 1 is one atom
OVERLAP_ROUNDS = 2  # carbon, whose atoms are the closest: 0.03 Å without, 0.006 Å after one, 0.001 Å after two
STENCIL = torch.tensor([(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)])  # (27, 3)


@lru_cache(maxsize=1)
def _quadratic_fit() -> Tensor:
    """Return the (10, 27) least-squares map from 27 values to 1, x, y, z, xx, yy, zz, xy, xz, yz."""
    x, y, z = STENCIL.double().unbind(1)
    design = torch.stack([torch.ones(27).double(), x, y, z, x * x, y * y, z * z, x * y, x * z, y * z], dim=1)
    return torch.linalg.pinv(design).float()


def _fit(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the 27 values around a voxel have their maximum, (R, 3) voxels from it, and its height, (R,).

    The logarithm of a Gaussian is a quadratic in any cell, so a quadratic fitted to the log of the values has its
    maximum at the site. A maximum that lands more than a voxel away is not trusted, and the weighted centre of the
    values is taken.

    :param values: (R, 27).
    """
    values = values.clamp(min=1e-4)
    c = values.log() @ _quadratic_fit().to(values.device).T  # (R, 10)
    hessian = torch.stack(
        [2 * c[:, 4], c[:, 7], c[:, 8], c[:, 7], 2 * c[:, 5], c[:, 9], c[:, 8], c[:, 9], 2 * c[:, 6]], dim=1
    ).reshape(-1, 3, 3)
    # A negative definite Hessian is what a maximum has; the small shift keeps a flat one solvable.
    step = -torch.linalg.solve(hessian - 1e-6 * torch.eye(3, device=c.device), c[:, 1:4].unsqueeze(-1)).squeeze(-1)
    centre = (values.unsqueeze(-1) * STENCIL.to(values.device)).sum(dim=1) / values.sum(dim=1, keepdim=True)
    sound = torch.isfinite(step).all(dim=1) & (step.abs() <= 1.0).all(dim=1)
    offset = torch.where(sound.unsqueeze(1), step, centre)
    height = (c[:, 0] + 0.5 * (c[:, 1:4] * step).sum(dim=1)).exp()
    return offset, torch.where(sound, height, values.amax(dim=1)).clamp(max=HIGHEST)


def _around(occupancy: Tensor, owner: Tensor, voxel: Tensor) -> Tensor:
    """Return the 27 values around voxels, (R, 27)."""
    index = (voxel[:, None, :] + STENCIL.to(voxel.device)) % torch.tensor(occupancy.shape[1:], device=voxel.device)
    return occupancy[owner[:, None], index[..., 0], index[..., 1], index[..., 2]]


def refine_peaks(occupancy: Tensor, owner: Tensor, peak: Tensor, others: Tensor | None = None) -> Tensor:
    """Return fractional coordinates of maxima, finer than the grid, (R, 3).

    :param occupancy: (B, nx, ny, nz); ``owner``: (R,) sample of each peak; ``peak``: (R, 3) voxel.
    :param others: (R, 27) what neighbouring sites add to the values at ``peak + STENCIL``, taken off if known.
    """
    values = _around(occupancy, owner, peak)
    offset, _ = _fit(values if others is None else values - others)
    return ((peak + offset) / torch.tensor(occupancy.shape[1:], device=peak.device)) % 1.0


def separate_peaks(occupancy: Tensor, cell: Tensor, owner: Tensor, peak: Tensor) -> Tensor:
    """Return fractional coordinates of sites, (R, 3), as :func:`refine_peaks` does, without the pull of neighbours.

    The tail of a neighbour's Gaussian moves a maximum. In each round the field of the sites found so far is computed,
    each as high as it was read, and each site is read again from what is left when the others are taken off. A site
    that would leave its maximum by more than a voxel stays where it was: its field is not a sum of such Gaussians.

    :param occupancy: (B, nx, ny, nz), with Gaussians of the width that the networks take.
    :param cell: (B, 3, 3) Å; ``owner``: (R,) sample of each peak, ascending; ``peak``: (R, 3) voxel.
    """
    _, nx, ny, nz = occupancy.shape
    grid = torch.tensor([nx, ny, nz], device=cell.device)
    offset, height = _fit(_around(occupancy, owner, peak))
    first = frac = ((peak + offset) / grid) % 1.0
    for _ in range(OVERLAP_ROUNDS if len(frac) else 0):
        model = _field_of(cell, frac, height, owner, (nx, ny, nz))
        voxel = (frac * grid).round().long() % grid
        own = gaussian_of((voxel[:, None] + STENCIL.to(voxel)) / grid - frac[:, None], cell[owner], OCCUPANCY_SIGMA)
        others = _around(model, owner, voxel) - height[:, None] * own
        offset, height = _fit(_around(occupancy, owner, voxel) - others)
        moved = (voxel + offset) / grid - first
        moved = moved - moved.round()
        stays = ((moved * grid).abs() > 1.0).any(dim=1, keepdim=True)
        frac = torch.where(stays, first, first + moved) % 1.0
    return frac


def _field_of(cell: Tensor, frac: Tensor, height: Tensor, owner: Tensor, grid: Grid) -> Tensor:
    """Return the occupancy of sites of the given heights, (B, nx, ny, nz)."""
    batch = padded_sites(cell, frac, torch.ones_like(owner), owner)
    weights = torch.zeros(batch.numbers.shape, device=cell.device)
    weights[batch.mask] = height
    return gaussian_density(cell, batch.frac, weights[..., None] / peak_height(OCCUPANCY_SIGMA), grid, OCCUPANCY_SIGMA)[
        :, 0
    ]


def gaussian_of(difference: Tensor, cell: Tensor, sigma: float | Tensor) -> Tensor:
    """Return Gaussians of height 1 at fractional differences (R, K, 3) to their nearest image, (R, K)."""
    distance = (difference - difference.round()) @ cell
    return torch.exp(-0.5 * (distance**2).sum(dim=-1) / sigma**2)


def padded_sites(cell: Tensor, frac: Tensor, numbers: Tensor, owner: Tensor) -> CrystalBatch:
    """Return sites in the order of their samples, (R, ...), as a padded batch."""
    count = torch.bincount(owner, minlength=len(cell))
    column = torch.arange(len(owner), device=owner.device) - (torch.cumsum(count, 0) - count)[owner]
    width = max(1, int(count.max()))
    sites = torch.zeros(len(cell), width, 3, device=cell.device)
    kinds = torch.zeros(len(cell), width, dtype=torch.long, device=cell.device)
    sites[owner, column], kinds[owner, column] = frac, numbers
    return CrystalBatch(cell, sites, kinds)
