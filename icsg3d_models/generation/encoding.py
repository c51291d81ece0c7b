"""Crystals to latents, in batches."""

from __future__ import annotations

import torch
from torch import Tensor

from ..fields.batches import CrystalBatch
from ..networks.generator import Autoencoder


@torch.no_grad()
def encode(vae: Autoencoder, batch: CrystalBatch, size: int = 256) -> tuple[Tensor, Tensor]:
    """Return mean and log variance of the latents, (B, Z) each, of crystals in the setting given.

    :param vae: one that has every crystal on the same grid.
    """
    pieces = [torch.zeros(2, 0, len(vae.latent_std), device=batch.cell.device)]
    for rows in torch.arange(len(batch)).split(size):
        if len(rows) == 0:  # what splitting nothing gives
            continue
        some = batch.take(rows.to(batch.cell.device))
        nx, ny, nz = vae.grid_of(some.cell)[0].tolist()
        pieces.append(torch.stack(vae.encode(some, (nx, ny, nz))))
    mean, log_variance = torch.cat(pieces, dim=1)
    return mean, log_variance
