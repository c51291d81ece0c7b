"""What every generator does, whatever its fields and latents look like: an autoencoder, and a prior of its latents.

Nobody who samples or trains asks which class it is. A sample depends on its number and the seed only, not on how many
are drawn with it or on its batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from ..conditions import Known
from ..conditions.space import Block, ConditionSpace
from ..crystals.batch import Crystals
from ..fields.batches import CrystalBatch
from ..fields.grids import Grid, half
from ..fields.occupancy import occupancy_field, species_field
from ..strict import Strict

MOMENTUM = 0.01  # of the running spread of the latents


@dataclass(frozen=True)
class Latents:
    """Samples whose latents have one shape.

    :param sample: (b,) number of each sample.
    :param latent: (b, Z, ...).
    :param cell: (b, 3, 3) Å, None where it is in the latent.
    :param contents: (b, K, 2) atomic number and atoms in the cell, as each was drawn to hold, zeros where nothing was
        said of it; None: of none of them.
    """

    sample: np.ndarray
    latent: Tensor
    cell: Tensor | None
    contents: np.ndarray | None = None

    def take(self, rows: slice | np.ndarray) -> Latents:
        """Return the chosen samples."""
        which = rows if isinstance(rows, slice) else torch.from_numpy(rows).to(self.latent.device)
        cell = None if self.cell is None else self.cell[which]
        contents = None if self.contents is None else self.contents[rows]
        return Latents(np.asarray(self.sample)[rows], self.latent[which], cell, contents)

    def split(self, size: int) -> Iterator[Latents]:
        """Yield the samples a few at a time."""
        for start in range(0, len(self.sample), size):
            yield self.take(slice(start, start + size))


@dataclass(frozen=True)
class Drawing:
    """How to draw.

    :param guidance: 1 samples the conditional distribution, more exaggerates the conditions.
    :param batch_size: samples at once; changes no sample.
    :param restarts: rounds of restarts; None: as the prior thinks fit. A prior without restarts takes none.
    :param say: called with what a user should know of the samples.
    :param autoencoder: whose latents these are, where crystals are to have the symmetry of the examples that they are
        drawn like; None: whatever symmetry comes. A prior without examples pays no heed to it.
    """

    guidance: float = 1.0
    batch_size: int = 256
    restarts: int | None = None
    say: Callable[[str], None] = print
    autoencoder: Autoencoder | None = None


class DrawError(ValueError):
    """What is asked for cannot be drawn; the message says why and what to do."""


class Draws(Protocol):
    """Whatever latents of new crystals come from."""

    @property
    def takes(self) -> tuple[str, ...]:
        """Names of the conditions that it can be asked for, beside the chemical space."""
        ...

    def draw(self, asked: Mapping[str, Any], n: int, seed: int, how: Drawing | None = None) -> Iterator[Latents]:
        """Yield n new samples, a batch of one shape at a time; which, depends on their number and the seed only.

        :param asked: name of a condition -> value as in settings.
        :raises DrawError: what is asked for cannot be drawn.
        """


class AutoencoderConfig(Strict):
    """What the configuration of every autoencoder says."""

    elements: list[int]
    """Atomic numbers it was trained on."""
    species_channels: int = 16


class Decoded(NamedTuple):
    """What a latent decodes to.

    :param occupancy: (B, 1, nx, ny, nz); ``species``: (B, K, nx/2, ny/2, nz/2).
    :param lattice: (B, 6) standardised lattice vector, None where the cell is carried beside the latent.
    """

    occupancy: Tensor
    species: Tensor
    lattice: Tensor | None


class Autoencoder(nn.Module, ABC):
    """Crystals to latents, and latents to fields and cells.

    :cvar encoder_parts: names of the modules that latents depend on.
    :cvar second_array: what stands beside the occupancy in the field file; None: nothing.
    :cvar own_setting: it puts crystals into its setting itself, and knows no other to choose from.
    :ivar latent_std: (Z,) standard deviation of the latents of the training crystals; NaN where a file of an early
        release does not say.
    """

    encoder_parts: ClassVar[tuple[str, ...]]
    second_array: ClassVar[str | None] = "species"
    own_setting: ClassVar[bool] = False
    config: AutoencoderConfig
    latent_std: Tensor

    @property
    @abstractmethod
    def spacing(self) -> float | None:
        """Å, from point to point of the fields in training; None where every crystal is on the same grid.

        On the same grid for all a network knows crystals in the setting of its training only.
        """

    @property
    def told(self) -> str | None:
        """The property that it is told of every crystal, None where it is told of none."""
        return None

    def refusals(self, crystals: Crystals) -> list[str | None]:
        """Return why each crystal cannot be encoded, None where it can; which elements it knows is another matter."""
        return [None] * len(crystals)

    def freeze_encoder(self) -> None:
        """Let training change no latent."""
        for name in self.encoder_parts:
            self.get_submodule(name).requires_grad_(False)

    @abstractmethod
    def grid_of(self, cell: Tensor, spacing: float | None = None) -> Tensor:
        """Return the points along each lattice vector, (B, 3).

        :param cell: (B, 3, 3) Å.
        :param spacing: Å, from point to point; None: that of training.
        """

    @abstractmethod
    def encode_fields(self, occupancy: Tensor, species: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance of the latent, (B, Z, ...) each.

        :param occupancy: (B, 1, nx, ny, nz).
        :param species: (B, K, nx/2, ny/2, nz/2).
        :param cell: (B, 3, 3) Å.
        """

    @abstractmethod
    def decode_fields(self, latent: Tensor, cell: Tensor | None) -> Decoded:
        """Return the fields of latents, and the lattice where it is in the latent.

        :param cell: (B, 3, 3) Å, where it is carried beside the latent.
        """

    @abstractmethod
    def decode(self, latent: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return occupancy (B, 1, nx, ny, nz), species (B, K, nx/2, ny/2, nz/2) and cells (B, 3, 3) in Å.

        :param cell: as in :meth:`decode_fields`.
        """

    def without_prior(self) -> Draws | None:
        """Return what latents are drawn from where no prior was fitted, None where there is no such thing."""
        return None

    def standardised(self, cell: Tensor) -> Tensor | None:
        """Return the (B, 6) lattice that :meth:`decode_fields` should give back, None where it gives none."""
        return None

    def encode(self, batch: CrystalBatch, grid: Grid) -> tuple[Tensor, Tensor]:
        """Return mean and log variance of the latents of crystals that share a grid."""
        return self.encode_fields(occupancy_field(batch, grid), species_field(batch, half(grid)), batch.cell)

    def reconstruction_error(self, batch: CrystalBatch, grid: Grid) -> Tensor:
        """Return the squared error of the decoded fields and lattice, summed, (B,); differentiable."""
        given = occupancy_field(batch, grid), species_field(batch, half(grid)), self.standardised(batch.cell)
        out = self.decode_fields(self.encode_fields(given[0], given[1], batch.cell)[0], batch.cell)
        pairs = [(a, b) for a, b in zip(out, given, strict=True) if a is not None and b is not None]
        return torch.stack([((a - b) ** 2).flatten(1).sum(dim=1) for a, b in pairs]).sum(dim=0)

    def of_spread(self, noise: Tensor) -> Tensor:
        """Return standard normal noise (B, Z, ...) as wide as the training latents are."""
        return self.latent_std.reshape(-1, *[1] * (noise.dim() - 2)) * noise

    @torch.no_grad()
    def note_spread(self, mean: Tensor) -> None:
        """Follow the spread of the latents while training.

        :param mean: (B, Z, ...) of a batch.
        """
        mean = mean.float()  # a difference of squares, which half precision would lose
        over = (0, *range(2, mean.dim()))
        count = mean[:, 0].numel()
        if count < 2:
            return
        variance = (mean.pow(2).mean(dim=over) - mean.mean(dim=over) ** 2).clamp(min=0) * (count / (count - 1))
        self.latent_std.lerp_(variance.sqrt(), MOMENTUM)


class LatentPriorConfig(Strict):
    """What the configuration of every prior says."""

    elements: list[int]
    """Atomic numbers of the conditions on elements, in order."""
    latent_mean: list[float]
    """(Z,) mean of the training latents."""
    latent_std: list[float]
    """(Z,) standard deviation of the training latents."""
    conditions: list[Block]
    """What it was told of the training crystals, in the order of its inputs."""
    targets: list[str] = Field(default_factory=list)
    """Properties among the conditions."""
    target_mean: list[float] = Field(default_factory=list)
    target_std: list[float] = Field(default_factory=list)
    vae_sha256: str = ""
    """The VAE whose latents these are; sampling refuses another one."""


def known_of(elements: list[int], targets: list[str], mean: list[float], std: list[float]) -> Known:
    """Return what the conditions of a prior are encoded with."""
    return Known(elements, {name: (m, s) for name, m, s in zip(targets, mean, std, strict=True)})


class LatentPrior(nn.Module, ABC):
    """Latents of new crystals under conditions.

    :cvar usual: conditions that it is told of in training where nobody says which.
    """

    config: LatentPriorConfig
    usual: ClassVar[tuple[str, ...]]

    def __init__(self, config: LatentPriorConfig) -> None:
        super().__init__()
        known = known_of(config.elements, config.targets, config.target_mean, config.target_std)
        self.conditions = ConditionSpace(config.conditions, known)

    @property
    def takes(self) -> tuple[str, ...]:
        """Names of the conditions that it was trained with."""
        return tuple(self.conditions.blocks)

    @property
    def symmetric(self) -> bool:
        """Whether it can draw crystals of the symmetry of its examples."""
        return False

    @abstractmethod
    def draw(self, asked: Mapping[str, Any], n: int, seed: int, how: Drawing | None = None) -> Iterator[Latents]:
        """See :meth:`Draws.draw`."""
