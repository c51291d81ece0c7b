"""Latents of a local VAE from base crystals of any size and shape: their own, around them, or between two.

They are as large as the crystal, so that they are computed grid by grid. The cell is carried beside the latent; around
a base crystal it stays that of the base crystal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..crystals.batch import Crystals
from ..crystals.cells import reduce_cell, settings_of
from ..crystals.lattice import lattice_to_vector, vector_to_lattice
from ..fields.batches import CrystalBatch, to_batch
from ..fields.grids import FINER, FINEST, Grid, grid_sizes, half, same_grids
from ..fields.occupancy import occupancy_field, species_field
from ..networks.local_vae import LocalVAE
from ..results import StageError
from ..settings import SampleSettings


@dataclass(frozen=True)
class Latents:
    """Samples on one grid.

    :param sample: (b,) number of each sample; ``cell``: (b, 3, 3) Å; ``latent``: (b, Z, nx/4, ny/4, nz/4).
    """

    grid: Grid
    sample: np.ndarray
    cell: Tensor
    latent: Tensor


def reduced(crystals: Crystals) -> Crystals:
    """Return the primitive crystals in their reduced cells: the smallest grids, and as little shear as can be.

    :raises icsg3d_models.crystals.batch.CrystalError: a cell without a reduced form.
    """
    found = [reduce_cell(crystals.cell[i], *crystals.sites(i), name) for i, name in enumerate(crystals.ids)]
    cells, fracs, numbers = (list(column) for column in zip(*found, strict=True))
    return Crystals.from_arrays(cells, fracs, numbers, crystals.ids)


def spacing_of(vae: LocalVAE, settings: SampleSettings) -> float:
    """Return how far apart the points of the fields of base crystals are, Å.

    Training has seen every spacing a little below its own, because points are whole numbers of blocks; in a large cell
    they are as far apart as can be, and there sites and elements are lost first. Hence a finer grid than in training.

    :raises StageError: a spacing that the model was not trained for.
    """
    trained = vae.config.spacing
    spacing = FINER * trained if settings.spacing is None else settings.spacing
    if not FINEST * trained <= spacing <= trained:
        raise StageError(
            "settings_rejected",
            f"`spacing` {spacing:g} Å: {settings.vae} takes {FINEST * trained:g} to {trained:g} Å; leave it out",
        )
    return spacing


@torch.no_grad()
def latents_of_base(vae: LocalVAE, base: Crystals, settings: SampleSettings, device: torch.device) -> Iterator[Latents]:
    """Yield the latents of base crystals or around them, a batch on one grid at a time."""
    count = len(base) if settings.mode == "reconstruct" else settings.n_samples
    batch = to_batch(base).to(device)
    owner = torch.arange(count, device=device) % len(base)
    sizes = grid_sizes(batch.cell, 0, spacing_of(vae, settings))[owner]
    for grid, rows in same_grids(sizes):
        for some in rows.split(settings.batch_size):
            crystals = batch.take(owner[some]).trimmed()
            latent, _ = encode_local(vae, crystals, grid)
            if settings.mode == "base":
                noise = noise_of(some.tolist(), latent.shape[1:], settings.seed).to(device)
                latent = latent + settings.spread * vae.latent_std[:, None, None, None] * noise
            yield Latents(grid, some.cpu().numpy(), crystals.cell, latent)


@torch.no_grad()
def latents_between(vae: LocalVAE, base: Crystals, settings: SampleSettings, device: torch.device) -> Iterator[Latents]:
    """Yield latents and cells on the line between two crystals, on the finer of their grids.

    The second is put into that of its equivalent settings (axes, a site as the origin) in which its latents are
    nearest to those of the first, whose first site is the origin.
    """
    frac, numbers = base.sites(0)
    first = to_batch(Crystals.from_arrays([base.cell[0]], [frac - frac[0]], [numbers], [base.ids[0]])).to(device)
    cells, fracs = settings_of(base.cell[1], base.sites(1)[0])
    names = [str(i) for i in range(len(cells))]
    others = to_batch(Crystals.from_arrays(list(cells), list(fracs), [base.sites(1)[1]] * len(cells), names)).to(device)
    spacing = spacing_of(vae, settings)
    sizes = torch.maximum(grid_sizes(first.cell, 0, spacing), grid_sizes(others.cell, 0, spacing))
    coarsest = sizes[sizes.prod(dim=1).argmin()]
    others = others.take((sizes == coarsest).all(dim=1).nonzero()[:, 0])
    nx, ny, nz = coarsest.tolist()
    start, _ = encode_local(vae, first, (nx, ny, nz))
    ends = torch.cat([encode_local(vae, others.take(some), (nx, ny, nz))[0] for some in rows_of(others)])
    vectors = lattice_to_vector(torch.cat([first.cell, others.cell]))
    apart = ((ends - start) / vae.latent_std[:, None, None, None]).pow(2).mean(dim=(1, 2, 3, 4))
    nearest = int((apart + (vectors[1:] - vectors[0]).pow(2).sum(dim=1)).argmin())
    for some in torch.arange(settings.n_samples).split(settings.batch_size):
        t = (some.to(device) / max(1, settings.n_samples - 1))[:, None]
        cell = vector_to_lattice((1 - t) * vectors[:1] + t * vectors[1 + nearest])
        t = t[:, :, None, None, None]
        yield Latents((nx, ny, nz), some.numpy(), cell, (1 - t) * start + t * ends[nearest])


def rows_of(batch: CrystalBatch, size: int = 64) -> tuple[Tensor, ...]:
    """Return the rows of a batch, a few at a time."""
    return torch.arange(len(batch), device=batch.cell.device).split(size)


def noise_of(samples: list[int], shape: torch.Size | tuple[int, ...], seed: int, stream: int = 0) -> Tensor:
    """Return standard normal noise, (b, *shape), that depends on the number of a sample, not on its batch.

    :param stream: another one gives other numbers for the same sample.
    """
    # Not torch's generator: of a seed it takes the last 32 bits only, so that streams would have to share them.
    rows = [
        np.random.default_rng((seed, stream, sample)).standard_normal(tuple(shape), dtype=np.float32)
        for sample in samples
    ]
    return torch.from_numpy(np.stack(rows))


def encode_local(vae: LocalVAE, batch: CrystalBatch, grid: Grid) -> tuple[Tensor, Tensor]:
    """Return mean and log variance of the latents of crystals that share a grid."""
    return vae.encode(occupancy_field(batch, grid), species_field(batch, half(grid)), batch.cell)


@torch.no_grad()
def local_errors(vae: LocalVAE, base: Crystals, device: torch.device, spacing: float, size: int = 64) -> np.ndarray:
    """Return the squared error of the decoded occupancy and species of each crystal, summed over voxels, (B,).

    :param spacing: Å, from point to point.
    """
    batch = to_batch(base).to(device)
    errors = torch.zeros(len(batch), device=device)
    for grid, rows in same_grids(grid_sizes(batch.cell, 0, spacing)):
        for some in rows.split(size):
            crystals = batch.take(some).trimmed()
            given = occupancy_field(crystals, grid), species_field(crystals, half(grid))
            out = vae.decode(vae.encode(*given, crystals.cell)[0], crystals.cell)
            errors[some] = sum(((a - b) ** 2).flatten(1).sum(dim=1) for a, b in zip(out, given, strict=True))
    return errors.cpu().numpy()
