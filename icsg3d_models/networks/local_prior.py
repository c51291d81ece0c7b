"""Prior of the local VAE: first a cell, then one latent vector for every block of voxels in it, by flow matching.

Both flows are told the same conditions; the second also knows the cell, which decides how many blocks there are and
what shape they have. Convolutions wrap around the cell, so that crystals of every size share the weights. An atom of
the rarest element is at the origin of every training crystal, and the network is told where in the cell a block is:
what it learns are the places of atoms relative to that one, not those of a crystal that may lie anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from ..conditions import CONDITIONS, completed
from ..conditions.analogy import Examples
from ..conditions.example_symmetry import HEAD, unpacked
from ..conditions.patterns import Pattern
from ..conditions.rows import pairs_of, wanted_of
from ..crystals.elements import MAX_Z
from ..crystals.lattice import vector_to_lattice
from ..crystals.operations import Operations
from ..fields.grids import MULTIPLE, Grid, grid_sizes, same_grids
from ..settings.network_options import LocalPriorOptions
from .generator import Drawing, LatentPrior, LatentPriorConfig, Latents
from .layers.flow import TIME_FEATURES, ConditionedMLP, guided, integrate, restarted, time_features
from .layers.noise import noise_of
from .layers.periodic import PeriodicConv
from .layers.symmetry_map import SymmetryMap
from .local_vae import block_metric
from .symmetric import draw_symmetric

HARMONICS = 3  # of the coordinates of a block
CELL_NOISE, LATENT_NOISE, RESTART_NOISE = 1, 2, 3  # streams of random numbers; the last counts on
ROUNDS = 4  # of restarts, for crystals of one element
WIDEST = 4.0  # standard deviations of a lattice number: beyond any cell of the training part


class LocalPriorConfig(LocalPriorOptions, LatentPriorConfig):
    """Configuration of the prior of a local VAE."""

    spacing: float
    """Å, of the VAE."""
    lattice_mean: list[float]
    """(6,) mean of the lattice vectors, log Å."""
    lattice_std: list[float]
    patterns: list[Pattern] = Field(default_factory=list)
    """Compositions of the training crystals, from which those of a chemical space are drawn."""
    examples: int = 0
    """Training crystals whose contents and space groups are kept, from which those of new ones are drawn; the priors of
    early releases keep none."""
    example_kinds: int = 0
    """Elements at most of one of them."""
    example_symmetry: bool = False
    """Whether the operations of their space groups are kept too."""
    example_codes: int = 0
    """Numbers of the code of an element that was learned from them; 0: none were."""


@lru_cache(maxsize=1024)
def places(blocks: tuple[int, int, int], device: torch.device) -> Tensor:
    """Return periodic features of the fractional coordinates of each block, (1, 6 HARMONICS, mx, my, mz)."""
    axes = torch.meshgrid(*(torch.arange(n, device=device) / n for n in blocks), indexing="ij")
    angles = torch.stack([2 * torch.pi * k * axis for axis in axes for k in range(1, HARMONICS + 1)])
    return torch.cat([angles.sin(), angles.cos()])[None]


class ModulatedBlock(nn.Module):
    """Two periodic convolutions around a shortcut, scaled and shifted by what depends on time, cell and conditions."""

    def __init__(self, channels: int, context: int) -> None:
        super().__init__()
        self.modulate = nn.Linear(context, 4 * channels)
        self.norms = nn.ModuleList(nn.GroupNorm(8, channels, affine=False) for _ in range(2))
        self.convs = nn.ModuleList(PeriodicConv(channels, channels) for _ in range(2))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """(B, C, mx, my, mz) and (B, context) to (B, C, mx, my, mz)."""
        parts = self.modulate(context)[:, :, None, None, None].chunk(4, dim=1)
        h = x
        for norm, conv, scale, shift in zip(self.norms, self.convs, parts[::2], parts[1::2], strict=True):
            h = conv(nn.functional.silu(norm(h) * (1 + scale) + shift))
        return x + h


class LocalPrior(LatentPrior):
    """Velocity of the lattice and velocity of the latents."""

    usual: ClassVar[tuple[str, ...]] = tuple(condition.name for condition in CONDITIONS)
    config: LocalPriorConfig
    latent_mean: Tensor
    latent_std: Tensor
    lattice_mean: Tensor
    lattice_std: Tensor
    kept_examples: Tensor
    kept_symmetry: Tensor
    kept_codes: Tensor

    def __init__(self, config: LocalPriorConfig) -> None:
        super().__init__(config)
        self.config = config
        for name in ("latent_mean", "latent_std", "lattice_mean", "lattice_std"):
            self.register_buffer(name, torch.tensor(getattr(config, name)), persistent=False)
        # Numbers, amounts, space group of each example: bytes, which no training changes.
        kept = torch.zeros(config.examples, 2 * config.example_kinds + 1, dtype=torch.uint8)
        self.register_buffer("kept_examples", kept, persistent=config.examples > 0)
        kept = torch.zeros(config.examples, HEAD + 3 * config.example_kinds, dtype=torch.uint8)
        self.register_buffer("kept_symmetry", kept, persistent=config.example_symmetry)
        kept = torch.zeros(MAX_Z + 1, config.example_codes, dtype=torch.float16)
        self.register_buffer("kept_codes", kept, persistent=config.example_codes > 0)
        width, channels = config.width, len(config.latent_mean)
        self.lattice = ConditionedMLP(6, self.conditions.size, config.lattice_width, config.lattice_depth)
        context = 2 * width
        self.context = nn.Sequential(
            nn.Linear(TIME_FEATURES + 6 + self.conditions.size, context),
            nn.SiLU(),
            nn.Linear(context, context),
            nn.SiLU(),
        )
        self.enter = nn.Conv3d(channels + 6 * HARMONICS, width, 1)
        if config.told_operations:
            self.symmetry_map = SymmetryMap(width)
        self.blocks = nn.ModuleList(ModulatedBlock(width, context) for _ in range(config.depth))
        self.leave = nn.Sequential(nn.GroupNorm(8, width), nn.SiLU(), nn.Conv3d(width, channels, 1))

    def keep(self, examples: Examples) -> None:
        """Keep what training crystals are made of; how many, and of how many elements, as in the configuration."""
        rows = np.concatenate([examples.numbers, examples.amounts, examples.groups[:, None]], axis=1)
        self.kept_examples.copy_(torch.from_numpy(rows.astype(np.uint8)))
        if self.symmetric and examples.symmetry is not None:
            self.kept_symmetry.copy_(torch.from_numpy(examples.symmetry.packed()))
        if examples.codes is not None:
            self.kept_codes.copy_(torch.from_numpy(examples.codes))

    @property
    def symmetric(self) -> bool:
        """Whether it can draw crystals of the symmetry of its examples."""
        return self.config.example_symmetry

    def examples(self) -> Examples:
        """Return what was kept."""
        kept, kinds = self.kept_examples.cpu().numpy().astype(np.int64), self.config.example_kinds
        symmetry = unpacked(self.kept_symmetry.cpu().numpy()) if self.symmetric else None
        codes = self.kept_codes.float().cpu().numpy() if self.config.example_codes else None
        return Examples(kept[:, :kinds], kept[:, kinds : 2 * kinds], kept[:, -1], symmetry, codes)

    def lattice_velocity(self, vector: Tensor, t: Tensor, conditions: Tensor) -> Tensor:
        """Return (B, 6), for standardised lattice vectors (B, 6), times (B,) and conditions (B, C)."""
        return self.lattice.velocity(vector, t, conditions)

    def forward(self, z: Tensor, t: Tensor, cell: Tensor, conditions: Tensor, symmetry: Tensor | None = None) -> Tensor:
        """Return the velocity of the latents, (B, Z, mx, my, mz).

        :param z: (B, Z, mx, my, mz) standardised latent at time t.
        :param t: (B,) from 0 (noise) to 1 (latents).
        :param cell: (B, 3, 3) Å; ``conditions``: (B, C).
        :param symmetry: (B, width, mx, my, mz) of the map of the operations; None: it is told of none.
        """
        shape = block_metric(cell, z.shape[2:], self.config.spacing)
        context = self.context(torch.cat([time_features(t), shape, conditions], dim=1))
        h = self.enter(torch.cat([z, places(z.shape[2:], z.device).expand(len(z), -1, -1, -1, -1)], dim=1))
        if symmetry is not None:
            h = h + symmetry
        for block in self.blocks:
            h = block(h, context)
        velocity: Tensor = self.leave(h)
        return velocity

    def symmetry_shown(self, operations: Operations, known: Tensor, cell: Tensor, grid: Grid) -> Tensor | None:
        """Return what :meth:`forward` is told of operations, None where it was trained without.

        :param known: (B,) whether anything is known of the operations of a crystal. :param cell: (B, 3, 3) Å.
        """
        if not self.config.told_operations:
            return None
        nx, ny, nz = (n // MULTIPLE for n in grid)
        shown: Tensor = self.symmetry_map(operations, cell, (nx, ny, nz))
        return shown * known.to(shown.dtype)[:, None, None, None, None]

    def draw(self, asked: Mapping[str, Any], n: int, seed: int, how: Drawing | None = None) -> Iterator[Latents]:
        """Yield n new cells and latents, a batch on one grid at a time."""
        how = how or Drawing()
        if how.autoencoder is not None and self.symmetric:
            yield from draw_symmetric(self, how.autoencoder, asked, n, seed, how)
            return
        device = self.latent_mean.device
        wanted = wanted_of(self.conditions, self.config.patterns, asked, n, seed, how.say, self.examples())
        contents = pairs_of(wanted.contents) if any(wanted.contents) else None
        conditions = torch.from_numpy(wanted.rows).to(device)
        noise = noise_of(list(range(n)), (6,), seed, CELL_NOISE).to(device)
        cells = self.sample_cells(noise, conditions, how.guidance)
        rounds = how.restarts
        if rounds is None:
            # They forget compositions unlike those of training; of one element there is nothing to forget.
            rounds = ROUNDS if len(completed(asked).get("elements", ())) == 1 else 0
        for grid, which in same_grids(grid_sizes(cells, 0, self.config.spacing)):
            for some in which.split(how.batch_size):
                latent = self.latents_in(cells[some], conditions[some], grid, some.tolist(), seed, how.guidance, rounds)
                held = None if contents is None else contents[some.cpu().numpy()]
                yield Latents(some.cpu().numpy(), latent, cells[some], held)

    def latents_in(
        self,
        cells: Tensor,
        conditions: Tensor,
        grid: Grid,
        samples: list[int],
        seed: int,
        guidance: float,
        rounds: int,
        steps: int = 20,
        symmetry: Tensor | None = None,
    ) -> Tensor:
        """Return latents of samples in their cells, all on one grid, after so many rounds of restarts.

        :param symmetry: as in :meth:`forward`.
        """
        shape = (len(self.config.latent_mean), *(n // MULTIPLE for n in grid))

        def noise(stream: int) -> Tensor:
            return noise_of(samples, shape, seed, stream).to(cells.device)

        given = noise(LATENT_NOISE), cells, conditions, guidance, steps
        return self.sample_latents(*given, lambda number: noise(RESTART_NOISE + number), rounds, symmetry)

    @torch.no_grad()
    def sample_cells(self, noise: Tensor, conditions: Tensor, guidance: float = 1.0, steps: int = 20) -> Tensor:
        """Carry noise (B, 6) to cells, (B, 3, 3) Å."""

        def velocity(x: Tensor, time: float, wanted: Tensor) -> Tensor:
            return self.lattice_velocity(x, torch.full((len(x),), time, device=x.device), wanted)

        vector = integrate(guided(velocity, conditions, torch.zeros_like(conditions), guidance), noise, steps)
        return vector_to_lattice(vector.clamp(-WIDEST, WIDEST) * self.lattice_std + self.lattice_mean)

    @torch.no_grad()
    def sample_latents(
        self,
        noise: Tensor,
        cell: Tensor,
        conditions: Tensor,
        guidance: float = 1.0,
        steps: int = 20,
        fresh: Callable[[int], Tensor] | None = None,
        rounds: int = 0,
        symmetry: Tensor | None = None,
    ) -> Tensor:
        """Carry noise (B, Z, mx, my, mz) to latents of the VAE in given cells.

        :param fresh: noise for the number of a restart; ``rounds``: see :func:`.flow.restarted`.
        :param symmetry: as in :meth:`forward`.
        """
        towards = self.towards(cell, conditions, guidance, symmetry)
        z = integrate(towards, noise, steps)
        if fresh is not None:
            z = restarted(towards, z, fresh, rounds)
        return z * self.latent_std[:, None, None, None] + self.latent_mean[:, None, None, None]

    def towards(
        self, cell: Tensor, conditions: Tensor, guidance: float, symmetry: Tensor | None = None
    ) -> Callable[[Tensor, float], Tensor]:
        """Return the velocity of latents at a time under conditions, extrapolated as :func:`.flow.guided` does.

        :param symmetry: as in :meth:`forward`.
        """

        def velocity(z: Tensor, time: float, told: tuple[Tensor, Tensor | None]) -> Tensor:
            result: Tensor = self(z, torch.full((len(z),), time, device=z.device), cell, *told)
            return result

        return guided(velocity, (conditions, symmetry), (torch.zeros_like(conditions), None), guidance)
