"""Samples of a local VAE: base crystals of any size and shape, as they are decoded or with noise on their latents.

Its latents are as large as the crystal, so that they are computed grid by grid. The cell is carried beside the latent
and stays that of the base crystal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .crystals import Crystals
from .fields.batches import CrystalBatch, to_batch
from .fields.grids import Grid, grid_sizes, half, same_grids
from .fields.occupancy import occupancy_field, species_field
from .networks.local_vae import LocalVAE
from .registration import reduce_cell
from .results import StageError
from .settings import SampleSettings


@dataclass(frozen=True)
class DecodedSamples:
    """Samples on one grid.

    :param sample: (b,) number of each sample; ``cell``: (b, 3, 3) Å; ``latent``: (b, Z, nx/4, ny/4, nz/4).
    :param occupancy: (b, 1, nx, ny, nz); ``species``: (b, K, nx/2, ny/2, nz/2).
    """

    grid: Grid
    sample: np.ndarray
    cell: Tensor
    latent: Tensor
    occupancy: Tensor
    species: Tensor


def reduced(crystals: Crystals) -> Crystals:
    """Return the primitive crystals in their reduced cells: the smallest grids, and as little shear as can be.

    :raises icsg3d_models.crystals.CrystalError: a cell without a reduced form.
    """
    found = [reduce_cell(crystals.cell[i], *crystals.sites(i), name) for i, name in enumerate(crystals.ids)]
    cells, fracs, numbers = (list(column) for column in zip(*found, strict=True))
    return Crystals.from_arrays(cells, fracs, numbers, crystals.ids)


def check_mode(settings: SampleSettings) -> None:
    """Refuse what needs a latent of one size.

    :raises StageError: a mode other than `base` and `reconstruct`.
    """
    if settings.mode not in ("base", "reconstruct"):
        raise StageError(
            "settings_rejected",
            f"mode {settings.mode!r} needs a VAE with latents of one size; {settings.vae} has one latent for every "
            "block of voxels and takes the modes 'base' and 'reconstruct'",
        )


@torch.no_grad()
def decoded_samples(
    vae: LocalVAE, base: Crystals, settings: SampleSettings, device: torch.device
) -> Iterator[DecodedSamples]:
    """Yield the samples, a batch on one grid at a time."""
    count = len(base) if settings.mode == "reconstruct" else settings.n_samples
    batch = to_batch(base).to(device)
    owner = torch.arange(count, device=device) % len(base)
    sizes = grid_sizes(batch.cell, 0, vae.config.spacing)[owner]
    for grid, rows in same_grids(sizes):
        for some in rows.split(settings.batch_size):
            crystals = batch.take(owner[some]).trimmed()
            latent, _ = encode_local(vae, crystals, grid)
            if settings.mode == "base":
                noise = noise_of(some.tolist(), latent.shape[1:], settings.seed).to(device)
                latent = latent + settings.spread * vae.latent_std[:, None, None, None] * noise
            occupancy, species = vae.decode(latent, crystals.cell)
            yield DecodedSamples(grid, some.cpu().numpy(), crystals.cell, latent, occupancy, species)


def noise_of(samples: list[int], shape: torch.Size, seed: int) -> Tensor:
    """Return standard normal noise, (b, *shape), that depends on the number of a sample, not on its batch."""
    generator = torch.Generator()
    rows = [torch.randn(shape, generator=generator.manual_seed(seed * 1_000_003 + sample)) for sample in samples]
    return torch.stack(rows)


def encode_local(vae: LocalVAE, batch: CrystalBatch, grid: Grid) -> tuple[Tensor, Tensor]:
    """Return mean and log variance of the latents of crystals that share a grid."""
    return vae.encode(occupancy_field(batch, grid), species_field(batch, half(grid)), batch.cell)


@torch.no_grad()
def local_errors(vae: LocalVAE, base: Crystals, device: torch.device, size: int = 64) -> np.ndarray:
    """Return the squared error of the decoded occupancy and species of each crystal, summed over voxels, (B,)."""
    batch = to_batch(base).to(device)
    errors = torch.zeros(len(batch), device=device)
    for grid, rows in same_grids(grid_sizes(batch.cell, 0, vae.config.spacing)):
        for some in rows.split(size):
            crystals = batch.take(some).trimmed()
            given = occupancy_field(crystals, grid), species_field(crystals, half(grid))
            out = vae.decode(vae.encode(*given, crystals.cell)[0], crystals.cell)
            errors[some] = sum(((a - b) ** 2).flatten(1).sum(dim=1) for a, b in zip(out, given, strict=True))
    return errors.cpu().numpy()
