"""Drawing crystals that have a space group and hold given atoms, with a prior that knows neither exactly.

The prior is told of both, but what it makes misses them: its convolutions see a few blocks at a time, and its errors
add up. So what it says of the crystal at the end of its way is put right on the way: the cell is given the metric of
the group at every step; the latents are decoded, the fields are symmetrised, the atoms are put on orbits of the group
(:mod:`icsg3d_models.fields.occupants`), encoded again, thrown back into noise and carried on (restarts,
arXiv:2306.14878). The network decides which orbits, where on them and the size of the cell; group and contents come
from the example that a sample is drawn like.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ..conditions.analogy import Examples
from ..conditions.rows import Wanted, pairs_of, wanted_of
from ..conditions.space import ConditionSpace
from ..crystals.lattice import lattice_to_vector, vector_to_lattice
from ..crystals.operations import Operations, symmetric_cells
from ..fields.grids import Grid, grid_sizes, same_grids
from ..fields.occupants import Found, sites_of_contents
from ..fields.peaks import padded_sites
from ..fields.symmetrised import symmetrised
from .generator import Autoencoder, Drawing, Latents
from .layers.flow import guided, integrate
from .layers.noise import noise_of

FIRST = 4  # steps from noise; twice as many, here and later, make nothing better
LATER = ((0.4, 2), (0.6, 2), (0.8, 1))  # time to which a crystal is thrown back, steps from there
CELL_NOISE, NOISE = 1, 1000  # of the cells; first of the streams of random numbers
WIDEST = 4.0  # standard deviations of a lattice number
FREE = (np.eye(3, dtype=np.int64)[None], np.zeros((1, 3)))


AT_ONCE = 32  # crystals whose operations are looked at: 48 of them at thousands of points are large
TRIES = 3  # examples that a sample is drawn like, one after the other, until its atoms fit
NEXT_TRY = 2**33  # from the seed of one to that of the next


class Prior(Protocol):
    """What is asked of a prior of crystals of any shape; see :class:`.local_prior.LocalPrior`."""

    conditions: ConditionSpace
    config: Any
    latent_mean: Tensor
    latent_std: Tensor
    lattice_mean: Tensor
    lattice_std: Tensor

    def examples(self) -> Examples: ...

    def lattice_velocity(self, vector: Tensor, t: Tensor, conditions: Tensor) -> Tensor: ...

    def latents_in(
        self,
        cells: Tensor,
        conditions: Tensor,
        grid: Grid,
        samples: list[int],
        seed: int,
        guidance: float,
        rounds: int,
        steps: int = ...,
        symmetry: Tensor | None = ...,
    ) -> Tensor: ...

    def symmetry_shown(self, operations: Operations, known: Tensor, cell: Tensor, grid: Grid) -> Tensor | None: ...

    def towards(
        self, cell: Tensor, conditions: Tensor, guidance: float, symmetry: Tensor | None = ...
    ) -> Callable[[Tensor, float], Tensor]: ...


def draw_symmetric(
    prior: Prior, autoencoder: Autoencoder, asked: Mapping[str, Any], n: int, seed: int, how: Drawing
) -> Iterator[Latents]:
    """Yield new crystals with the groups and contents of the examples that they are drawn like; see Draws.draw.

    A sample whose atoms fit on no orbits is drawn like another example; the last comes as it is.
    """
    device = prior.latent_mean.device
    examples = prior.examples()
    pending = torch.arange(n, device=device)
    for attempt in range(TRIES):
        own_seed = seed + attempt * NEXT_TRY
        say = how.say if attempt == 0 else lambda _: None
        wanted = wanted_of(prior.conditions, prior.config.patterns, asked, n, own_seed, say, examples)
        contents = pairs_of(wanted.contents)
        conditions = torch.from_numpy(wanted.rows).to(device)
        symmetric = Symmetric(prior, autoencoder, wanted, how.guidance, own_seed)
        cells = torch.zeros(n, 3, 3, device=device)
        cells[pending] = symmetric.cells(pending, conditions[pending])
        again = []
        for grid, which in same_grids(grid_sizes(cells[pending], 0, prior.config.spacing)):
            for some in pending[which].split(how.batch_size):
                numbers = some.tolist()
                given = cells[some], conditions[some], grid
                shown = symmetric.shown(some, cells[some], grid)
                latent = prior.latents_in(*given, numbers, own_seed, how.guidance, how.restarts or 0, FIRST, shown)
                latent, fits = symmetric.latents(latent, some, *given, shown)
                done = fits | (attempt == TRIES - 1)
                again.append(some[~done])
                if done.any():
                    held = contents[some[done].cpu().numpy()]
                    yield Latents(some[done].cpu().numpy(), latent[done], cells[some[done]], held)
        pending = torch.cat(again).sort().values
        if len(pending) == 0:
            return


class Symmetric:
    """What is to be made of each sample, and how."""

    def __init__(self, prior: Prior, autoencoder: Autoencoder, wanted: Wanted, guidance: float, seed: int) -> None:
        self.prior, self.autoencoder, self.contents = prior, autoencoder, wanted.contents
        self.guidance, self.seed = guidance, seed
        device = prior.latent_mean.device
        self.operations = Operations.together([each or FREE for each in wanted.operations]).to(device)
        self.known = torch.tensor([each is not None for each in wanted.operations], device=device)

    @torch.no_grad()
    def shown(self, samples: Tensor, cell: Tensor, grid: Grid) -> Tensor | None:
        """Return what the prior is told of the operations of samples, (B, width, mx, my, mz); None: nothing.

        :param cell: (B, 3, 3) Å.
        """
        found = []
        for some, own in zip(samples.split(AT_ONCE), cell.split(AT_ONCE), strict=True):
            shown = self.prior.symmetry_shown(self.operations.take(some), self.known[some], own, grid)
            if shown is None:
                return None
            found.append(shown)
        return torch.cat(found)

    @torch.no_grad()
    def cells(self, samples: Tensor, conditions: Tensor, steps: int = 20) -> Tensor:
        """Return cells that have the metric of the group of each sample, (B, 3, 3) Å.

        :param samples: (B,) their numbers. :param conditions: (B, C).
        """
        prior, operations = self.prior, self.operations.take(samples)
        noise = noise_of(samples.tolist(), (6,), self.seed, CELL_NOISE).to(samples.device)

        def velocity(x: Tensor, time: float, wanted: Tensor) -> Tensor:
            return prior.lattice_velocity(x, torch.full((len(x),), time, device=x.device), wanted)

        def cell_of(x: Tensor) -> Tensor:
            vector = x.clamp(-WIDEST, WIDEST) * prior.lattice_std + prior.lattice_mean
            return symmetric_cells(vector_to_lattice(vector), operations)

        towards = guided(velocity, conditions, torch.zeros_like(conditions), self.guidance)

        def kept(x: Tensor, time: float) -> Tensor:
            velocity = towards(x, time)
            if time >= 1.0:
                return velocity
            end = lattice_to_vector(cell_of(x + (1 - time) * velocity))
            return ((end - prior.lattice_mean) / prior.lattice_std - x) / (1 - time)

        return cell_of(integrate(kept, noise, steps))

    @torch.no_grad()
    def latents(
        self,
        latent: Tensor,
        samples: Tensor,
        cell: Tensor,
        conditions: Tensor,
        grid: Grid,
        shown: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Return latents of crystals with the group and the contents of the samples, and whether they fit, (B,) bool.

        All are on one grid. Where nothing is known of the contents of a sample, everything fits.

        :param latent: (B, Z, mx, my, mz) that the prior made. :param samples: (B,) their numbers.
        :param cell: (B, 3, 3) Å. :param conditions: (B, C). :param shown: see :meth:`shown`.
        """
        prior = self.prior
        mean, spread = (a[:, None, None, None] for a in (prior.latent_mean, prior.latent_std))
        towards = prior.towards(cell, conditions, self.guidance, shown)
        put_right = self._put_right(samples, cell, grid)
        for number, (time, steps) in enumerate(LATER):
            start = (put_right(latent)[0] - mean) / spread
            noise = noise_of(samples.tolist(), latent.shape[1:], self.seed, NOISE + number).to(latent.device)
            latent = integrate(towards, time * start + (1 - time) * noise, steps, time) * spread + mean
        return put_right(latent)

    def _put_right(self, samples: Tensor, cell: Tensor, grid: Grid) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        """Return what takes latents to those of the nearest crystals with the group and contents."""
        operations = self.operations.take(samples)
        contents = [self.contents[i] for i in samples.tolist()]

        def put_right(latent: Tensor) -> tuple[Tensor, Tensor]:
            occupancy, species, _ = self.autoencoder.decode_fields(latent, cell)
            occupancy, species = symmetrised(occupancy, operations), symmetrised(species, operations)
            result = self.autoencoder.encode_fields(occupancy, species, cell)[0]
            found = sites_of_contents(occupancy, species, cell, operations, contents)
            which = [row for row, sites in enumerate(found) if sites is not None]
            if which:
                result[which] = self._encoded([found[row] for row in which], cell[which], grid)
            fits = [not amounts or sites is not None for amounts, sites in zip(contents, found, strict=True)]
            return result, torch.tensor(fits, device=result.device)

        return put_right

    def _encoded(self, found: list[Found | None], cell: Tensor, grid: Grid) -> Tensor:
        """Return the latents of crystals."""
        sites = [each for each in found if each is not None]
        frac = torch.tensor(np.concatenate([f for f, _ in sites]), dtype=cell.dtype, device=cell.device)
        numbers = torch.tensor(np.concatenate([z for _, z in sites]), device=cell.device)
        owner = torch.arange(len(sites)).repeat_interleave(torch.tensor([len(z) for _, z in sites])).to(cell.device)
        return self.autoencoder.encode(padded_sites(cell, frac, numbers, owner), grid)[0]
