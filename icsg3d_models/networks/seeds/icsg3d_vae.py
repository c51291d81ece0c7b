"""The conditional VAE of ICSG3D: the box and a quantile of the formation energy to a latent, and back.

After Court et al., J. Chem. Inf. Model. 2020, 10.1021/acs.jcim.0c00464: four convolutions with batch normalisation,
leaky ReLU and pooling, a latent of 256, four convolutions with upsampling; the quantile, one of ten, enters both sides
as channels. It is carried in the latent here: the last ten numbers say which it is, and have no spread.

Shapes: B crystals, n points along an axis, Z numbers of the latent, K quantiles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...conditions.target import target_name
from ...crystals.batch import Crystals
from ...fields.batches import CrystalBatch
from ...fields.grids import Grid, grid_sizes
from ...fields.seeds.icsg3d_box import coordinates, density, lengths_of, refusals
from ...settings.seeds.options import ICSG3DVAEOptions
from ..generator import Autoencoder, AutoencoderConfig, Decoded, Drawing, Latents
from ..layers.noise import Rows
from .icsg3d_unet import CHANNELS, batch_norm

SLOPE = 0.3  # of a leaky ReLU below zero, in Keras
SMALLEST = 0.1  # Å, of a cell whose coordinate channels decode to nothing
NOISE, QUANTILE = 1, 2  # streams of random numbers


class ICSG3DVAEConfig(ICSG3DVAEOptions, AutoencoderConfig):
    """Configuration of the VAE."""

    grid: int
    radii: list[float]
    """(MAX_Z + 1,) Å, mean ionic radius of each element."""
    sigma_fraction: float
    edges: list[float]
    """(K - 1,) values of the target between one quantile and the next, of the training crystals."""
    species_channels: int = 3
    """The coordinates, which stand beside the density."""


class ICSG3DVAE(Autoencoder):
    """Encoder and decoder."""

    encoder_parts = ("encoder", "dense", "to_mean", "to_log_variance")
    second_array = "coordinates"
    own_setting = True
    config: ICSG3DVAEConfig
    radii: Tensor
    edges: Tensor

    def __init__(self, config: ICSG3DVAEConfig) -> None:
        super().__init__()
        self.config = config
        filters, latent, n = config.filters, config.latent, config.grid
        layers: list[nn.Module] = []
        for enters, leaves in zip((CHANNELS + config.bins, *filters), filters, strict=False):
            layers += [nn.Conv3d(enters, leaves, 3, padding=1), batch_norm(leaves), nn.LeakyReLU(SLOPE)]
            layers += [nn.MaxPool3d(2)]
        layers += [nn.Conv3d(filters[-1], 4, 3, padding=1), nn.LeakyReLU(SLOPE), nn.Flatten()]
        self.encoder = nn.Sequential(*layers)
        self.dense = nn.Linear(4 * (n // 16) ** 3, latent)
        self.to_mean, self.to_log_variance = nn.Linear(latent, latent), nn.Linear(latent, latent)
        self.from_latent = nn.Linear(latent + config.bins, 4 * (n // 8) ** 3)
        layers = []
        for index, (enters, leaves) in enumerate(zip((4, *filters[::-1]), filters[::-1], strict=False)):
            layers += [nn.Conv3d(enters, leaves, 3, padding=1), batch_norm(leaves), nn.LeakyReLU(SLOPE)]
            layers += [nn.Upsample(scale_factor=2.0)] if index < len(filters) - 1 else []
        layers += [nn.Conv3d(filters[0], CHANNELS, 3, padding=1), batch_norm(CHANNELS), nn.ReLU()]
        self.decoder = nn.Sequential(*layers)
        self.register_buffer("radii", torch.tensor(config.radii), persistent=False)
        self.register_buffer("edges", torch.tensor(config.edges), persistent=False)
        # `--var` of the published code is a standard deviation, in the unit of the latent
        self.register_buffer("latent_std", torch.cat([torch.ones(latent), torch.zeros(config.bins)]))

    @property
    def told(self) -> str:
        """The property that it is told of a crystal."""
        return self.config.target

    @property
    def spacing(self) -> None:
        """None: every crystal is on the same grid."""
        return None

    def grid_of(self, cell: Tensor, spacing: float | None = None) -> Tensor:
        """Return n along every axis, (B, 3)."""
        return grid_sizes(cell, self.config.grid, None)

    def refusals(self, crystals: Crystals) -> list[str | None]:
        """Return why each crystal has no place in the box, None where it has."""
        return refusals(crystals)

    def without_prior(self) -> QuantileNormal:
        """Return N(0, 1) with a quantile beside it."""
        return QuantileNormal(self)

    def quantile(self, value: Tensor) -> Tensor:
        """Return the quantile of values of the target as one of K, (B, K)."""
        return nn.functional.one_hot(torch.bucketize(value, self.edges), self.config.bins).float()

    def channels(self, batch: CrystalBatch) -> Tensor:
        """Return the density and the coordinates of crystals, (B, 4, n, n, n)."""
        n = self.config.grid
        field = density(batch, self.radii, n, self.config.sigma_fraction)
        return torch.cat([field, coordinates(batch.cell.norm(dim=2), n)], dim=1)

    def encode(self, batch: CrystalBatch, grid: Grid) -> tuple[Tensor, Tensor]:
        """Return mean and log variance of the latents of crystals, (B, Z + K), the quantile with the variance of none.

        :raises ValueError: what the target of a crystal is was not said.
        """
        if batch.told is None:
            raise ValueError(f"the VAE is told the {self.told} of every crystal, and was not")
        quantile = self.quantile(batch.told)
        mean, log_variance = self.encode_channels(self.channels(batch), quantile)
        sure = torch.full_like(quantile, -30.0)
        return torch.cat([mean, quantile], dim=1), torch.cat([log_variance, sure], dim=1)

    def encode_channels(self, channels: Tensor, quantile: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance, (B, Z) each, of channels (B, 4, n, n, n) and quantiles (B, K)."""
        n = self.config.grid
        told = quantile[:, :, None, None, None].expand(-1, -1, n, n, n)
        hidden = torch.relu(self.dense(self.encoder(torch.cat([channels, told], dim=1))))
        return self.to_mean(hidden), self.to_log_variance(hidden)

    def decode_channels(self, latent: Tensor) -> Tensor:
        """Return the channels (B, 4, n, n, n) of latents (B, Z + K)."""
        start = self.config.grid // 8
        decoded: Tensor = self.decoder(self.from_latent(latent).reshape(-1, 4, start, start, start))
        return decoded

    def encode_fields(self, occupancy: Tensor, species: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance of the latent, (B, Z) each.

        :param occupancy: (B, 1, n, n, n), the density; ``species``: (B, 3 + K, n, n, n), coordinates and quantile.
        """
        return self.encode_channels(torch.cat([occupancy, species[:, :3]], dim=1), species[:, 3:, 0, 0, 0])

    def decode_fields(self, latent: Tensor, cell: Tensor | None = None) -> Decoded:
        """Return the density (B, 1, n, n, n) and the coordinates (B, 3, n, n, n)."""
        channels = self.decode_channels(latent)
        return Decoded(channels[:, :1], channels[:, 1:], None)

    def decode(self, latent: Tensor, cell: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return the density, the coordinates and the cells (B, 3, 3) in Å that these say."""
        field, channels, _ = self.decode_fields(latent)
        lengths = lengths_of(channels, self.config.as_published_lattice).clamp(min=SMALLEST)
        return field, channels, torch.diag_embed(lengths)

    def reconstruction_error(self, batch: CrystalBatch, grid: Grid) -> Tensor:
        """Return the squared error of the decoded channels, summed, (B,)."""
        difference = self.decode_channels(self.encode(batch, grid)[0]) - self.channels(batch)
        return difference.square().flatten(1).sum(dim=1)


class QuantileNormal:
    """Latents from N(0, 1) with the quantile of the target that is asked for, any where none is."""

    def __init__(self, vae: ICSG3DVAE) -> None:
        self.vae = vae
        self.takes = (target_name(vae.told),)

    def draw(self, asked: Mapping[str, Any], n: int, seed: int, how: Drawing | None = None) -> Iterator[Latents]:
        """Yield n latents with their quantiles."""
        how = how or Drawing()
        noise, choice, vae = Rows(seed, NOISE), Rows(seed, QUANTILE), self.vae
        device, value = vae.latent_std.device, asked.get(self.takes[0])
        for start in range(0, n, how.batch_size):
            count = min(how.batch_size, n - start)
            normal = noise.normal(count, vae.config.latent).to(device)
            drawn = (choice.uniform(count, 1)[:, 0] * vae.config.bins).long().to(device)
            quantile = nn.functional.one_hot(drawn, vae.config.bins).float()
            if value is not None:
                quantile = vae.quantile(torch.full((count,), float(value), device=device))
            yield Latents(np.arange(start, start + count), torch.cat([normal, quantile], dim=1), None)
