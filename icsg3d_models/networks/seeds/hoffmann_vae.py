"""The VAE of Hoffmann et al.: a density on 30³ points over 10 Å to a latent of 300 numbers, and back.

After arXiv:1909.00949 and its code: five convolutions and two dense layers to the latent, two dense layers and five
convolutions with trilinear upsampling back, batch normalisation and leaky ReLU. The sizes that the published network
names (256 channels of 4³) are those of a field mirrored by 10 points on every side; the data of its code are mirrored
by 5, and do not fit.

Shapes: B crystals, n = 30 points along an edge.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...crystals.batch import Crystals
from ...crystals.lattice import lattice_to_vector, vector_to_lattice
from ...fields.batches import CrystalBatch
from ...fields.grids import Grid, grid_sizes
from ...fields.seeds.hoffmann_box import EDGE, POINTS, Representation, fields_of, refusals
from ...settings.seeds.options import HoffmannVAEOptions
from ..generator import Autoencoder, AutoencoderConfig, Decoded
from ..vae import StandardNormal

MIRRORED = 10  # points on every side
SMALL = 4  # points along an edge, at the bottom


class HoffmannVAEConfig(HoffmannVAEOptions, AutoencoderConfig):
    """Configuration of the VAE."""

    representation: Representation
    as_published_images: bool
    species_channels: int = 0
    """The density is all there is."""


class HoffmannVAE(Autoencoder):
    """Encoder and decoder."""

    encoder_parts = ("encoder", "dense", "to_mean", "to_log_variance")
    second_array = None
    own_setting = True
    config: HoffmannVAEConfig

    def __init__(self, config: HoffmannVAEConfig) -> None:
        super().__init__()
        self.config = config
        w, latent = config.width, config.latent
        layers: list[nn.Module] = []
        for enters, leaves, kernel, stride in (
            (1, w, 5, 2), (w, 2 * w, 3, 1), (2 * w, 4 * w, 3, 1), (4 * w, 8 * w, 3, 2), (8 * w, 16 * w, 3, 2)
        ):  # fmt: skip
            layers += [nn.Conv3d(enters, leaves, kernel, stride), nn.BatchNorm3d(leaves), nn.LeakyReLU()]
        flat = 16 * w * SMALL**3
        self.encoder = nn.Sequential(*layers, nn.Flatten())
        self.dense = nn.Linear(flat, config.hidden[0])
        self.to_mean, self.to_log_variance = nn.Linear(config.hidden[0], latent), nn.Linear(config.hidden[0], latent)
        self.from_latent = nn.Sequential(nn.Linear(latent, config.hidden[1]), nn.Linear(config.hidden[1], flat))
        self.decoder = nn.Sequential(
            *(_upsample(), nn.Conv3d(16 * w, 8 * w, 4), *_normalised(8 * w)),  # 4 -> 8 -> 5
            *(_upsample(), nn.ReplicationPad3d(2), nn.Conv3d(8 * w, 4 * w, 5), *_normalised(4 * w)),  # 10
            *(_upsample(), nn.ReplicationPad3d(1), nn.Conv3d(4 * w, 2 * w, 5), *_normalised(2 * w)),  # 18
            *(_upsample(), nn.Conv3d(2 * w, w, 4), *_normalised(w)),  # 33
            *(nn.Conv3d(w, 1, 4), nn.BatchNorm3d(1, eps=1e-3), nn.ReLU()),  # 30
        )
        self.register_buffer("latent_std", torch.ones(latent))
        inner = list(range(POINTS))
        self.register_buffer(
            "mirror", torch.tensor([*inner[MIRRORED - 1 :: -1], *inner, *inner[: -MIRRORED - 1 : -1]]), persistent=False
        )

    @property
    def spacing(self) -> None:
        """None: every crystal is in the same box."""
        return None

    def grid_of(self, cell: Tensor, spacing: float | None = None) -> Tensor:
        """Return n along every edge, (B, 3)."""
        return grid_sizes(cell, POINTS, None)

    def refusals(self, crystals: Crystals) -> list[str | None]:
        """Return why each crystal has no place in the box, None where it has."""
        return refusals(crystals, self.config.representation)

    def without_prior(self) -> StandardNormal | None:
        """Return N(0, 1); None where the field shows one cell, whose lattice nothing draws."""
        if self.config.representation == "one":
            return None
        return StandardNormal(self.config.latent, self.latent_std.device)

    def density(self, batch: CrystalBatch) -> Tensor:
        """Return the density of crystals as they are, (B, 1, n, n, n)."""
        settled = CrystalBatch(upright(batch.cell), batch.frac, batch.numbers)
        return fields_of(settled, self.config.representation, None, self.config.as_published_images)[0]

    def encode(self, batch: CrystalBatch, grid: Grid) -> tuple[Tensor, Tensor]:
        """Return mean and log variance of the latents of crystals, (B, Z) each."""
        return self.encode_fields(self.density(batch), batch.cell, batch.cell)

    def encode_fields(self, occupancy: Tensor, species: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance of the latent, (B, Z) each, of densities (B, 1, n, n, n)."""
        mirror: Tensor = self.mirror  # type: ignore[assignment]
        x = occupancy[:, :, mirror][:, :, :, mirror][..., mirror]
        hidden = self.dense(self.encoder(x))
        return self.to_mean(hidden), self.to_log_variance(hidden)

    def decode_fields(self, latent: Tensor, cell: Tensor | None = None) -> Decoded:
        """Return the density (B, 1, n, n, n); there is nothing beside it."""
        start = self.from_latent(latent).reshape(len(latent), -1, SMALL, SMALL, SMALL)
        return Decoded(self.decoder(start), latent.new_zeros(len(latent), 0), None)

    def decode(self, latent: Tensor, cell: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return the density, nothing, and the cells (B, 3, 3) in Å: those given, or the box where it repeats."""
        field, nothing, _ = self.decode_fields(latent)
        box = EDGE * torch.eye(3, device=latent.device).expand(len(latent), 3, 3)
        if self.config.representation == "repeating" or cell is None:
            return field, nothing, box
        return field, nothing, upright(cell)

    def reconstruction_error(self, batch: CrystalBatch, grid: Grid) -> Tensor:
        """Return the squared error of the decoded density, summed, (B,)."""
        field = self.density(batch)
        mean, _ = self.encode_fields(field, batch.cell, batch.cell)
        return (self.decode_fields(mean).occupancy - field).square().flatten(1).sum(dim=1)


def upright(cell: Tensor) -> Tensor:
    """Return cells (B, 3, 3) turned so that their matrix is symmetric, as lattices are carried."""
    return vector_to_lattice(lattice_to_vector(cell))


def _upsample() -> nn.Module:
    return nn.Upsample(scale_factor=2.0, mode="trilinear")


def _normalised(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm3d(channels, eps=1e-3), nn.LeakyReLU()
