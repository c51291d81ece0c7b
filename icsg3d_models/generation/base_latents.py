"""Latents from base crystals: their own, around them, or between two.

They are computed grid by grid. Where the cell is carried beside the latent, it stays that of the base crystal.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ..crystals.batch import Crystals
from ..crystals.cells import settings_of
from ..crystals.lattice import lattice_to_vector, vector_to_lattice
from ..fields.batches import CrystalBatch, to_batch
from ..fields.grids import same_grids
from ..networks.generator import Autoencoder, Latents
from ..networks.layers.noise import noise_of
from ..settings import SampleSettings
from .base_crystals import spacing_of


@torch.no_grad()
def latents_of_base(
    vae: Autoencoder, base: Crystals, settings: SampleSettings, device: torch.device, told: np.ndarray | None = None
) -> Iterator[Latents]:
    """Yield the latents of base crystals or around them, to which samples are dealt in turn.

    :param told: (B,) what a conditional autoencoder is told of each.
    """
    count = len(base) if settings.mode == "reconstruct" else settings.n_samples
    batch = to_batch(base, told).to(device)
    owner = torch.arange(count, device=device) % len(base)
    for grid, rows in same_grids(vae.grid_of(batch.cell, spacing_of(vae, settings))[owner]):
        for some in rows.split(settings.batch_size):
            chosen, place = torch.unique(owner[some], return_inverse=True)
            crystals = batch.take(chosen).trimmed()
            latent = vae.encode(crystals, grid)[0][place]
            if settings.mode == "base":
                noise = noise_of(some.tolist(), latent.shape[1:], settings.seed).to(device)
                latent = latent + settings.spread * vae.of_spread(noise)
            yield Latents(some.cpu().numpy(), latent, crystals.cell[place])


@torch.no_grad()
def latents_between(
    vae: Autoencoder, base: Crystals, settings: SampleSettings, device: torch.device, told: np.ndarray | None = None
) -> Iterator[Latents]:
    """Yield latents and cells on the line between two crystals, on the finer of their grids."""
    spacing = spacing_of(vae, settings)
    first, others = ends_of(vae, base, device, told)
    sizes = torch.maximum(vae.grid_of(first.cell, spacing), vae.grid_of(others.cell, spacing))
    coarsest = sizes[sizes.prod(dim=1).argmin()]
    others = others.take((sizes == coarsest).all(dim=1).nonzero()[:, 0])
    nx, ny, nz = coarsest.tolist()
    start, _ = vae.encode(first, (nx, ny, nz))
    ends = torch.cat([vae.encode(others.take(some), (nx, ny, nz))[0] for some in rows_of(others)])
    vectors = lattice_to_vector(torch.cat([first.cell, others.cell]))
    apart = torch.zeros(1)
    if len(ends) > 1:
        apart = ((ends - start) / vae.of_spread(torch.ones_like(start))).pow(2).flatten(1).mean(dim=1)
        apart = apart + (vectors[1:] - vectors[0]).pow(2).sum(dim=1)
    nearest = int(apart.argmin())
    for some in torch.arange(settings.n_samples).split(settings.batch_size):
        t = (some.to(device) / max(1, settings.n_samples - 1))[:, None]
        cell = vector_to_lattice((1 - t) * vectors[:1] + t * vectors[1 + nearest])
        t = t.reshape(-1, *[1] * (start.dim() - 1))
        yield Latents(some.numpy(), (1 - t) * start + t * ends[nearest], cell)


def ends_of(
    vae: Autoencoder, base: Crystals, device: torch.device, told: np.ndarray | None = None
) -> tuple[CrystalBatch, CrystalBatch]:
    """Return the first of two crystals, and the second in every setting in which it may be taken.

    Where the grid follows the cell, any setting is as good (axes, a site as the origin), and the one in which its
    latents are nearest to those of the first, whose first site is the origin, makes the straightest line. Otherwise
    the model takes one setting only, in which both are already.
    """
    if vae.spacing is None:
        both = to_batch(base, told).to(device)
        return both.take(np.array([0])).trimmed(), both.take(np.array([1])).trimmed()
    frac, numbers = base.sites(0)
    first = Crystals.from_arrays([base.cell[0]], [frac - frac[0]], [numbers], [base.ids[0]])
    cells, fracs = settings_of(base.cell[1], base.sites(1)[0])
    names = [str(i) for i in range(len(cells))]
    others = Crystals.from_arrays(list(cells), list(fracs), [base.sites(1)[1]] * len(cells), names)
    return to_batch(first).to(device), to_batch(others).to(device)


def rows_of(batch: CrystalBatch, size: int = 64) -> tuple[Tensor, ...]:
    """Return the rows of a batch, a few at a time."""
    return torch.arange(len(batch), device=batch.cell.device).split(size)
