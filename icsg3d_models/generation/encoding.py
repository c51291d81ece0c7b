"""Crystals to latents and back to fields, in batches."""

from __future__ import annotations

import torch
from torch import Tensor

from ..crystals.lattice import lattice_to_vector, vector_to_lattice
from ..fields.batches import CrystalBatch
from ..fields.grids import cube, half
from ..fields.occupancy import occupancy_field, species_field
from ..networks.vae import VAE


def standardised_lattice(vae: VAE, cell: Tensor) -> Tensor:
    """Return (B, 6) lattice vectors in units of the training set's spread."""
    mean = torch.tensor(vae.config.lattice_mean, device=cell.device)
    std = torch.tensor(vae.config.lattice_std, device=cell.device)
    return (lattice_to_vector(cell) - mean) / std


@torch.no_grad()
def encode(vae: VAE, batch: CrystalBatch, size: int = 256) -> tuple[Tensor, Tensor]:
    """Return mean and log variance of the latents, (B, Z) each, of crystals in the setting given."""
    grid = cube(vae.config.grid)
    pieces = [torch.zeros(2, 0, vae.config.latent, device=batch.cell.device)]
    for rows in torch.arange(len(batch)).split(size):
        if len(rows) == 0:  # what splitting nothing gives
            continue
        some = batch.take(rows.to(batch.cell.device))
        fields = occupancy_field(some, grid), species_field(some, half(grid))
        pieces.append(torch.stack(vae.encode(*fields, standardised_lattice(vae, some.cell))))
    mean, log_variance = torch.cat(pieces, dim=1)
    return mean, log_variance


@torch.no_grad()
def decode(vae: VAE, latent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return occupancy (B, 1, n, n, n), species channels (B, K, n/2, n/2, n/2) and cells (B, 3, 3) in Å."""
    occupancy, species, lattice = vae.decode(latent)
    mean = torch.tensor(vae.config.lattice_mean, device=latent.device)
    std = torch.tensor(vae.config.lattice_std, device=latent.device)
    return occupancy, species, vector_to_lattice(lattice * std + mean)
