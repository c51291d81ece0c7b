"""Crystal to fields and back without a network: what the encoding itself keeps.

A crystal is encoded on a grid over its reduced cell, spacing in Å, and read back as a network's fields are:
regions around maxima, sites between the voxels, elements by the nearest code. Cells of any shape and size work,
because the reduction is undone exactly: it is an integer change of basis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...crystals.batch import Crystals
from ...crystals.cells import reduced_cells
from ...fields.batches import CrystalBatch, to_batch
from ...fields.density import gaussian_density, grid_for, peak_height
from ...fields.occupancy import OCCUPANCY_SIGMA, SPECIES_SIGMA, element_codes
from ...fields.peaks import STENCIL, gaussian_of, padded_sites, refine_peaks
from ...generation.rebuild import shortest_distance
from ...generation.segment import watershed

SIGMA_PER_DISTANCE = 0.2  # the neighbour's Gaussian is exp(-12.5) at a site and moves its maximum by 4e-6 distances
RESOLUTION_PER_SIGMA = 2 / 3  # the first term left out is exp(-11), see `truncation`
THRESHOLD = 0.35  # of an isolated site's height; the highest voxel of one has more than 0.84
WIDER = SPECIES_SIGMA / OCCUPANCY_SIGMA  # width of the species channels
BATCH_POINTS = 2**21  # grid points decoded at a time


@dataclass(frozen=True)
class RoundTrip:
    """What came back.

    :param crystals: the crystals that could be rebuilt, with the cells and names they had.
    :param reasons: name -> why a crystal could not be rebuilt at all.
    :param grid: (B, 3) points along the vectors of the cell that was encoded.
    :param sigma: (B,) width of the occupancy in Å.
    :param shortest: (B,) distance in Å between the closest sites, infinity beyond 5 sigma of the widest occupancy.
    """

    crystals: Crystals
    reasons: dict[str, str]
    grid: np.ndarray
    sigma: np.ndarray
    shortest: np.ndarray


class Sites(NamedTuple):
    """Sites of a batch: sample (R,), fractional coordinates (R, 3) and atomic numbers (R,)."""

    owner: np.ndarray
    frac: np.ndarray
    numbers: np.ndarray


def shortest_distances(crystals: Crystals) -> np.ndarray:
    """Return the distance in Å between the closest sites of each crystal, (B,), as far as it limits sigma."""
    reach = OCCUPANCY_SIGMA / SIGMA_PER_DISTANCE + 0.1
    return np.array([shortest_distance(crystals.cell[i], crystals.sites(i)[0], reach) for i in range(len(crystals))])


def fitting_sigma(shortest: np.ndarray) -> np.ndarray:
    """Return the widest sigma in Å at which neighbours at the shortest distance do not disturb each other, (B,).

    At most :data:`~icsg3d_models.fields.occupancy.OCCUPANCY_SIGMA`, the width the networks take.
    """
    return np.minimum(OCCUPANCY_SIGMA, SIGMA_PER_DISTANCE * shortest)


@torch.no_grad()
def roundtrip(
    crystals: Crystals,
    resolution: float | np.ndarray | None = None,
    sigma: float | np.ndarray | None = None,
    rounds: int = 0,
    reduce: bool = True,
) -> RoundTrip:
    """Encode crystals as occupancy and species channels, and rebuild them from these fields and the cells.

    :param resolution: largest spacing of the grid in Å, one number or (B,); two thirds of sigma if not given.
    :param sigma: width of the occupancy in Å, one number or (B,); :func:`fitting_sigma` if not given. The species
        channels are wider in the proportion of the networks' fields, on half the grid.
    :param rounds: corrections of overlap, for a sigma that is too wide for the closest neighbours.
    :param reduce: lay the grid over the Niggli-reduced cell; without, over the cell as it is, where a long sheared
        one needs more points and can have false maxima.
    """
    shortest = shortest_distances(crystals)
    widths = np.broadcast_to(fitting_sigma(shortest) if sigma is None else sigma, len(crystals)).astype(float)
    spacing = np.broadcast_to(RESOLUTION_PER_SIGMA * widths if resolution is None else resolution, len(crystals))
    identity = np.tile(np.eye(3), (len(crystals), 1, 1))
    cells, change = reduced_cells(crystals.cell) if reduce else (crystals.cell, identity)
    back = np.linalg.inv(change)
    frac = np.einsum("ni,nij->nj", crystals.frac, back[crystals.owner])
    inner = Crystals(cells, frac % 1.0, crystals.numbers, crystals.offsets, crystals.ids)
    lengths = np.linalg.norm(cells, axis=2)
    grid = np.array([grid_for(tuple(row), step) for row, step in zip(lengths, spacing, strict=True)]).reshape(-1, 3)
    found: list[tuple[np.ndarray, np.ndarray] | None] = [None] * len(crystals)
    for shape in np.unique(grid, axis=0):
        rows = np.flatnonzero((grid == shape).all(axis=1))
        step = max(1, BATCH_POINTS // int(np.prod(shape)))
        for start in range(0, len(rows), step):
            chosen = rows[start : start + step]
            batch = to_batch(inner.take(chosen))
            width = torch.from_numpy(widths[chosen]).to(batch.cell)
            occupancy, species = _encode(batch, (int(shape[0]), int(shape[1]), int(shape[2])), width)
            owner, sites, numbers = _decode(occupancy, species, batch.cell, width, rounds)
            for place, index in enumerate(chosen):
                mine = owner == place
                found[index] = (sites[mine] @ change[index], numbers[mine])
    reasons = {
        name: f"no maximum above {THRESHOLD}"
        for name, pair in zip(crystals.ids, found, strict=True)
        if pair is None or len(pair[1]) == 0
    }
    kept = [index for index, name in enumerate(crystals.ids) if name not in reasons]
    pairs = [pair for index in kept if (pair := found[index]) is not None]
    rebuilt = Crystals.from_arrays(
        [crystals.cell[i] for i in kept], [p[0] for p in pairs], [p[1] for p in pairs], [crystals.ids[i] for i in kept]
    )
    return RoundTrip(rebuilt, reasons, grid, widths, shortest)


def _encode(batch: CrystalBatch, grid: tuple[int, int, int], sigma: Tensor) -> tuple[Tensor, Tensor]:
    """Return the occupancy (B, nx, ny, nz) and the species channels (B, K, nx/2, ny/2, nz/2), of height 1 at a site."""
    wide = sigma * WIDER
    half = (grid[0] // 2, grid[1] // 2, grid[2] // 2)
    unit = batch.mask.float()[..., None]
    codes = element_codes(str(batch.cell.device))[batch.numbers]
    height, low = (peak_height(1.0) / s[:, None, None] ** 3 for s in (sigma, wide))
    occupancy = gaussian_density(batch.cell, batch.frac, unit / height, grid, sigma)[:, 0]
    return occupancy, gaussian_density(batch.cell, batch.frac, codes / low, half, wide)


def _decode(occupancy: Tensor, species: Tensor, cell: Tensor, sigma: Tensor, rounds: int) -> Sites:
    """Return the sites of the regions of a batch of fields.

    In each round the fields of the sites found so far are computed, and each site is read again from what is left
    when those of all others are taken off: overlap, which moves maxima and mixes codes, goes.
    """
    batch, nx, ny, nz = occupancy.shape
    maximum = watershed(occupancy, occupancy > THRESHOLD).reshape(batch, -1)
    # A maximum leads to itself.
    owner, voxel = (maximum == torch.arange(maximum.shape[1], device=maximum.device)).nonzero(as_tuple=True)
    grid = torch.tensor([nx, ny, nz], device=cell.device)
    coarse = torch.tensor(species.shape[2:], device=cell.device)
    codes = element_codes(str(cell.device))
    peak = torch.stack([voxel // (ny * nz), voxel // nz % ny, voxel % nz], dim=1)
    frac = refine_peaks(occupancy, owner, peak)
    i, j, k = _voxel(frac, coarse).unbind(1)
    numbers = _nearest_element(species[owner, :, i, j, k])
    for _ in range(rounds):
        sites_model, codes_model = _encode(padded_sites(cell, frac, numbers, owner), (nx, ny, nz), sigma)
        coarse_peak = _voxel(frac, coarse)
        i, j, k = coarse_peak.unbind(1)
        own = gaussian_of((coarse_peak / coarse - frac)[:, None], cell[owner], sigma[owner, None] * WIDER)
        read = species[owner, :, i, j, k] - codes_model[owner, :, i, j, k] + own * codes[numbers]
        peak = _voxel(frac, grid)
        around = peak[:, None] + STENCIL.to(peak)  # (R, 27, 3)
        i, j, k = (around % grid).unbind(2)
        own = gaussian_of(around / grid - frac[:, None], cell[owner], sigma[owner, None])
        frac = refine_peaks(occupancy, owner, peak, sites_model[owner[:, None], i, j, k] - own)
        numbers = _nearest_element(read)
    return Sites(owner.cpu().numpy(), frac.double().cpu().numpy(), numbers.cpu().numpy())


def _voxel(frac: Tensor, grid: Tensor) -> Tensor:
    """Return the grid point closest to each site, (R, 3)."""
    return (frac * grid).round().long() % grid


def _nearest_element(read: Tensor) -> Tensor:
    """Return the atomic number whose code points most nearly the way of each (R, K) reading."""
    return (read @ element_codes(str(read.device))[1:].T).argmax(dim=1) + 1
