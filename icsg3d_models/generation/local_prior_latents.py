"""New crystals of any shape: cells and latents from the prior of a local VAE, under what is wished for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from ..conditions.patterns import draw_composition
from ..conditions.vector import Wishes
from ..crystals.elements import NUMBER, SYMBOLS
from ..crystals.formulas import amounts_of, anonymous_amounts
from ..fields.grids import MULTIPLE, Grid, grid_sizes, same_grids
from ..networks.local_prior import LocalPrior
from ..results import StageError
from ..settings import SampleSettings
from .local_latents import Latents, noise_of

CELL_NOISE, LATENT_NOISE, RESTART_NOISE = 1, 2, 3  # streams of random numbers; the last counts on
ROUNDS = 4  # of restarts, for crystals of one element


def wishes_of(settings: SampleSettings, prior: LocalPrior, model: str) -> Wishes:
    """Return what the settings ask for.

    :param model: name of the file of the prior, for messages.
    :raises StageError: an element or a target that the prior does not know.
    """
    amounts = amounts_of(settings.composition) if settings.composition else None
    symbols = settings.elements if amounts is None else list(amounts)
    if unknown := [s for s in symbols or [] if NUMBER[s] not in prior.config.elements]:
        names = ", ".join(SYMBOLS[z] for z in prior.config.elements)
        raise StageError("input_incompatible", f"{model} does not know {', '.join(unknown)}; it knows {names}")
    if unknown := sorted(set(settings.targets) - set(prior.config.targets)):
        known = ", ".join(prior.config.targets) or "none"
        raise StageError("input_incompatible", f"{model} has no target {', '.join(unknown)}; it has {known}")
    kinds = anonymous_amounts(settings.anonymous_formula) if settings.anonymous_formula else None
    sites = settings.n_atoms
    if amounts is not None:
        kinds = [int(amount) for amount in amounts.values()]
        sites = sites or sum(kinds)
    return Wishes(
        elements=None if symbols is None else [NUMBER[s] for s in symbols],
        composition=None if amounts is None else {NUMBER[s]: amount for s, amount in amounts.items()},
        amounts=kinds,
        sites=sites,
        crystal_system=settings.crystal_system,
        targets=settings.targets,
    )


def rows_of(prior: LocalPrior, wishes: Wishes, settings: SampleSettings) -> torch.Tensor:
    """Return what each sample is to be, (n_samples, C).

    Where elements are named and no composition is, every sample gets a composition of its own from these elements: a
    crystal is not asked to choose among them, which it learns far worse than to follow a composition.
    """
    row = prior.wishes.vector(wishes)
    rows = row.expand(settings.n_samples, -1).clone()
    if wishes.elements is None or wishes.composition is not None:
        return rows
    amounts = None if wishes.amounts is None else [int(amount) for amount in wishes.amounts]
    for sample in range(settings.n_samples):
        rng = np.random.default_rng((settings.seed, sample))
        drawn = draw_composition(prior.config.patterns, wishes.elements, amounts, rng)
        if drawn is None:  # no pattern of the training crystals fits: the prior is left to find one
            break
        own = replace(wishes, elements=list(drawn), composition=drawn, amounts=list(drawn.values()))
        rows[sample] = prior.wishes.vector(own)
    return rows


def latents_of_prior(
    prior: LocalPrior, wishes: Wishes, settings: SampleSettings, device: torch.device
) -> Iterator[Latents]:
    """Yield new cells and latents, a batch on one grid at a time; a sample depends on its number and the seed only."""
    wanted = rows_of(prior, wishes, settings).to(device)
    noise = noise_of(list(range(settings.n_samples)), (6,), settings.seed, CELL_NOISE).to(device)
    cells = prior.sample_cells(noise, wanted, settings.guidance)
    rounds = settings.restarts
    if rounds is None:
        # They forget compositions unlike those of training; of one element there is nothing to forget.
        rounds = ROUNDS if wishes.elements is not None and len(wishes.elements) == 1 else 0
    for grid, rows in same_grids(grid_sizes(cells, 0, prior.config.spacing)):
        for some in rows.split(settings.batch_size):
            latent = latents_in(prior, cells[some], wanted[some], grid, some.tolist(), settings, rounds)
            yield Latents(grid, some.cpu().numpy(), cells[some], latent)


def latents_in(
    prior: LocalPrior,
    cells: torch.Tensor,
    wanted: torch.Tensor,
    grid: Grid,
    samples: list[int],
    settings: SampleSettings,
    rounds: int,
) -> torch.Tensor:
    """Return latents of samples in their cells, all on one grid, after so many rounds of restarts."""
    shape = (len(prior.config.latent_mean), *(n // MULTIPLE for n in grid))

    def noise(stream: int) -> torch.Tensor:
        return noise_of(samples, shape, settings.seed, stream).to(cells.device)

    return prior.sample_latents(
        noise(LATENT_NOISE),
        cells,
        wanted,
        settings.guidance,
        fresh=lambda number: noise(RESTART_NOISE + number),
        rounds=rounds,
    )
