"""Sites from a field: maxima finer than the grid, and freed from what their neighbours add."""

from __future__ import annotations

import torch
from torch import Tensor

from .fields.batches import CrystalBatch
from .fields.occupancy import OCCUPANCY_SIGMA, occupancy_field

OVERLAP_ROUNDS = 2  # carbon, whose atoms are the closest: 0.03 Å without, 0.006 Å after one, 0.001 Å after two
STENCIL = torch.tensor([(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)])  # (27, 3)


def _quadratic_fit() -> Tensor:
    """Return the (10, 27) least-squares map from 27 values to 1, x, y, z, xx, yy, zz, xy, xz, yz."""
    x, y, z = STENCIL.double().unbind(1)
    design = torch.stack([torch.ones(27).double(), x, y, z, x * x, y * y, z * z, x * y, x * z, y * z], dim=1)
    return torch.linalg.pinv(design).float()


def refine_peaks(occupancy: Tensor, owner: Tensor, peak: Tensor, others: Tensor | None = None) -> Tensor:
    """Return fractional coordinates of maxima, finer than the grid, (R, 3).

    The logarithm of a Gaussian is a quadratic in any cell, so a quadratic fitted to the log of the 27 values around
    the highest voxel has its maximum at the site. A maximum that lands more than a voxel away is not trusted,
    and the weighted centre of the 27 values is taken.

    :param occupancy: (B, nx, ny, nz); ``owner``: (R,) sample of each peak; ``peak``: (R, 3) voxel.
    :param others: (R, 27) what neighbouring sites add to the values at ``peak + STENCIL``, taken off if known.
    """
    n = torch.tensor(occupancy.shape[1:], device=occupancy.device)
    stencil = STENCIL.to(peak.device)
    index = (peak[:, None, :] + stencil) % n  # (R, 27, 3)
    values = occupancy[owner[:, None], index[..., 0], index[..., 1], index[..., 2]]  # (R, 27)
    values = (values if others is None else values - others).clamp(min=1e-4)
    c = values.log() @ _quadratic_fit().to(values.device).T  # (R, 10)
    hessian = torch.stack(
        [2 * c[:, 4], c[:, 7], c[:, 8], c[:, 7], 2 * c[:, 5], c[:, 9], c[:, 8], c[:, 9], 2 * c[:, 6]], dim=1
    ).reshape(-1, 3, 3)
    # A negative definite Hessian is what a maximum has; the small shift keeps a flat one solvable.
    step = -torch.linalg.solve(hessian - 1e-6 * torch.eye(3, device=c.device), c[:, 1:4].unsqueeze(-1)).squeeze(-1)
    centre = (values.unsqueeze(-1) * stencil).sum(dim=1) / values.sum(dim=1, keepdim=True)
    sound = torch.isfinite(step).all(dim=1) & (step.abs() <= 1.0).all(dim=1)
    offset = torch.where(sound.unsqueeze(1), step, centre)
    return ((peak + offset) / n) % 1.0


def separate_peaks(occupancy: Tensor, cell: Tensor, owner: Tensor, peak: Tensor) -> Tensor:
    """Return fractional coordinates of sites, (R, 3), as :func:`refine_peaks` does, without the pull of neighbours.

    The tail of a neighbour's Gaussian moves a maximum. In each round the field of the sites found so far is computed,
    and each site is read again from what is left when the others are taken off.

    :param occupancy: (B, nx, ny, nz), with Gaussians of the width that the networks take.
    :param cell: (B, 3, 3) Å; ``owner``: (R,) sample of each peak, ascending; ``peak``: (R, 3) voxel.
    """
    _, nx, ny, nz = occupancy.shape
    grid = torch.tensor([nx, ny, nz], device=cell.device)
    frac = refine_peaks(occupancy, owner, peak)
    for _ in range(OVERLAP_ROUNDS if len(frac) else 0):
        model = occupancy_field(padded_sites(cell, frac, torch.ones_like(owner), owner), (nx, ny, nz))[:, 0]
        at = (frac * grid).round().long() % grid
        around = at[:, None] + STENCIL.to(at)  # (R, 27, 3)
        i, j, k = (around % grid).unbind(2)
        own = gaussian_of(around / grid - frac[:, None], cell[owner], OCCUPANCY_SIGMA)
        frac = refine_peaks(occupancy, owner, at, model[owner[:, None], i, j, k] - own)
    return frac


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
