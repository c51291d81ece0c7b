"""Training of the prior of a local VAE: cells, and latents in them, of the training crystals in reduced cells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...conditions.analogy import Examples, examples_of
from ...conditions.patterns import Pattern, patterns_of
from ...conditions.space import ConditionSpace
from ...crystals.batch import Crystals
from ...crystals.cells import reduced_crystals
from ...crystals.lattice import lattice_to_vector
from ...crystals.operations import Operations, Setting, operations_of, symmetry_settings
from ...data.datasets import PARTS, Dataset
from ...fields.batches import CrystalBatch, to_batch
from ...fields.grids import Grid, grid_sizes, same_grids
from ...networks.generator import Autoencoder
from ...networks.local_prior import LocalPrior, LocalPriorConfig
from ...networks.model_file import file_hash
from ...networks.registry import load_network
from ...settings import TrainSettings
from ..blanking import blanked, widened
from ..field_data import batches_of_one_grid
from ..kinship import learn_codes
from ..network_config import network_config, network_options
from ..start import CELL_OPTIONS, starting_network
from ..task import Task
from .latent_priors import conditions_of, kept_config, values_of

CELLS = 256  # cells of a step; they cost nothing beside the latents
EVENNESS, MOST_PASSES = 0.3, 3  # what is common is learned long before what is rare
DRAWS = 16  # times a crystal of the validation part is drawn
MOST_JUDGED = (
    2000  # crystals of the validation part whose latents are judged, repeated draws included, where it is large
)
BLANK = 0.2  # share of training crystals that it is not told the operations of


@dataclass(frozen=True)
class Part:
    """Crystals of one part of a dataset, and what is known of each.

    :param rows: (B, C) conditions.
    :param operations: of each, in its cell. :param known: (B,) bool, whether anything is known of them.
    """

    batch: CrystalBatch
    rows: Tensor
    operations: Operations
    known: Tensor

    @classmethod
    def of(cls, crystals: Crystals, rows: np.ndarray, settings: list[Setting], device: torch.device) -> Part:
        """Return crystals with conditions and settings of each."""
        operations = Operations.together([operations_of(setting, np.zeros(3)) for setting in settings])
        known = torch.tensor([setting.hall > 0 for setting in settings], dtype=torch.bool)
        batch = to_batch(crystals).to(device)
        return cls(batch, torch.from_numpy(rows).to(device), operations.to(device), known.to(device))


class LocalPriorTask(Task[LocalPrior]):
    """Two flows: the lattice under conditions, and the latents under conditions in the lattice."""

    kind = "prior"

    def __init__(self, module: LocalPrior, vae: Autoencoder, parts: dict[str, Part]) -> None:
        self.module, self.parts = module, parts
        self.vae = vae.eval().requires_grad_(False)
        self.config = module.config.model_dump()
        self.n_train = len(parts["train"].rows)
        spacing = module.config.spacing
        self.sizes = {name: grid_sizes(part.batch.cell, 0, spacing).cpu() for name, part in parts.items()}
        self.vectors = {name: lattice_to_vector(part.batch.cell) for name, part in parts.items()}

    @classmethod
    def build(cls, settings: TrainSettings, dataset: Dataset, device: torch.device) -> LocalPriorTask:
        """Reduce the cells, describe every crystal, and create the prior, or take the one to start from.

        What the contents of new crystals are drawn from follows from these data in any case.
        """
        start = starting_network(
            settings,
            dataset,
            device,
            "LocalPrior",
            lambda elements: conditions_of(settings, dataset, elements, LocalPrior.usual),
        )
        vae = load_network(str(settings.vae), "vae", device)
        crystals = reduced_crystals(dataset.crystals)
        places = {name: np.flatnonzero(dataset.split == i) for i, name in enumerate(PARTS)}
        train = places["train"]
        train_batch = to_batch(crystals.take(train)).to(device)
        patterns = patterns_of(crystals.take(train))
        if start is None:
            start = cls._new(settings, dataset, vae, train_batch, patterns)
            config = start.config
        else:
            config = kept_config(start, settings).model_copy(update={"patterns": patterns})
        anew: tuple[str, ...] = ("kept_examples", "kept_symmetry", "kept_codes")
        if settings.grow:  # other chemistry has other cells: their flow is learned from nothing, in their own numbers
            shape = network_options(settings, local=True).model_dump(include=set(CELL_OPTIONS), exclude_unset=True)
            config = config.model_copy(update={**shape, **lattice_statistics(train_batch)})
            anew += ("lattice.",)
        values = values_of(config.targets, dataset)
        shown = start.conditions.describe(crystals, values)
        where = symmetry_settings(crystals)
        known_groups = groups_in(start.conditions, shown[train]).tolist()
        examples = examples_of(crystals.take(train), known_groups, [where[row] for row in train])
        examples = with_codes(examples, start, settings.seed)
        size = {"examples": len(examples), "example_kinds": examples.numbers.shape[1], "example_symmetry": True,
                "example_codes": 0 if examples.codes is None else examples.codes.shape[1]}  # fmt: skip
        module = LocalPrior(config.model_copy(update=size)).to(device)
        kept = {name: value for name, value in start.state_dict().items() if not name.startswith(anew)}
        module.load_state_dict(kept, strict=False)
        module.keep(examples)
        parts = {
            name: Part.of(crystals.take(place), shown[place], [where[row] for row in place], device)
            for name, place in places.items()
        }
        return cls(module, vae, parts)

    @staticmethod
    def _new(
        settings: TrainSettings, dataset: Dataset, vae: Autoencoder, train: CrystalBatch, patterns: list[Pattern]
    ) -> LocalPrior:
        """Create the prior for the latents and cells of the training part."""
        mean, spread = latent_statistics(vae, train)
        fixed: dict[str, Any] = {
            "elements": vae.config.elements,
            "spacing": vae.spacing,
            "latent_mean": mean.tolist(),
            "latent_std": spread.tolist(),
            **lattice_statistics(train),
            **conditions_of(settings, dataset, vae.config.elements, LocalPrior.usual),
            "patterns": patterns,
            "vae_sha256": file_hash(str(settings.vae)),
        }
        return LocalPrior(network_config(LocalPriorConfig, network_options(settings, local=True), **fixed))

    def batches(self, size: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Return batches of crystals on one grid; crystals on rare grids pass up to three times an epoch."""
        sizes = self.sizes["train"]
        _, which, counts = torch.unique(sizes, dim=0, return_inverse=True, return_counts=True)
        passes = (counts.max() / counts).pow(EVENNESS).round().clamp(max=MOST_PASSES).long()[which]
        often = passes.cpu() if self.passes is None else passes.cpu() * torch.from_numpy(self.passes)
        rows = torch.arange(len(sizes)).repeat_interleave(often)
        return [rows[some].numpy() for some in batches_of_one_grid(sizes[rows], size, rng)]

    def loss(
        self, indices: np.ndarray, generator: torch.Generator, step_fraction: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the sum of both flow-matching losses."""
        device = self.parts["train"].rows.device
        any_rows = torch.randint(self.n_train, (CELLS,), generator=generator, device=device)
        lattice = self.lattice_loss(self.module, "train", any_rows, generator)
        nx, ny, nz = self.sizes["train"][indices[0]].tolist()
        chosen = torch.as_tensor(indices, device=device)
        latent = self._latent_loss(self.module, "train", chosen, (nx, ny, nz), generator)
        return lattice + latent, {"lattice_loss": lattice, "latent_loss": latent}

    @staticmethod
    def _told(module: LocalPrior, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Return what the flows are told of crystals, (B, C)."""
        return blanked(module.conditions, widened(module.conditions, rows, generator), generator)

    def lattice_loss(self, module: LocalPrior, part: str, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Return the mean squared error of the velocity of the lattice."""
        goal = (self.vectors[part][rows] - module.lattice_mean) / module.lattice_std
        told = self._told(module, self.parts[part].rows[rows], generator)
        state, t, velocity = between(goal, generator)
        return ((module.lattice_velocity(state, t, told) - velocity) ** 2).mean()

    def _latent_loss(
        self, module: LocalPrior, part: str, rows: Tensor, grid: Grid, generator: torch.Generator
    ) -> Tensor:
        """Return the mean squared error of the velocity of the latents of crystals that share a grid."""
        own = self.parts[part]
        batch, origin, sign = at_an_atom(own.batch.take(rows).trimmed(), generator)
        # Places need all their digits: half precision is for the network that is trained.
        with torch.no_grad(), torch.autocast(batch.cell.device.type, enabled=False):
            mean, log_variance = self.vae.encode(batch, grid)
            draw = torch.randn(mean.shape, generator=generator, device=mean.device)
            latent = mean + draw * (0.5 * log_variance).exp()
            operations = own.operations.take(rows).about(origin, sign)
        part_of = replace(own, batch=batch, rows=own.rows[rows], operations=operations, known=own.known[rows])
        return self.flow_loss(module, latent, part_of, grid, generator)

    def flow_loss(
        self, module: LocalPrior, latent: Tensor, own: Part, grid: Grid, generator: torch.Generator
    ) -> Tensor:
        """Return the mean squared error of the velocity of latents, with conditions left out at random.

        :param latent: (B, Z, mx, my, mz) of the crystals ``own``, whose operations are about the origin of the latents.
        """
        wide = (slice(None), None, None, None)
        goal = (latent - module.latent_mean[wide]) / module.latent_std[wide]
        told = self._told(module, own.rows, generator)
        # Where nothing is said of a crystal, nothing is said of its operations.
        shown = torch.rand(len(goal), generator=generator, device=goal.device) >= BLANK
        known = own.known & shown & (told != 0).any(dim=1)
        state, t, velocity = between(goal, generator)
        symmetry = module.symmetry_shown(own.operations, known, own.batch.cell, grid)
        return ((module(state, t, own.batch.cell, told, symmetry) - velocity) ** 2).mean()

    def _evaluate(self, module: LocalPrior, part: str) -> dict[str, float]:
        """Return the losses over one part, averaged over repeated draws to tame their noise."""
        generator = torch.Generator(module.latent_mean.device).manual_seed(0)
        total = len(self.parts[part].rows)
        with torch.no_grad():
            every = torch.arange(total).repeat(DRAWS)
            lattice = float(self.lattice_loss(module, part, every, generator))
            latent = 0.0
            draws = max(1, min(DRAWS // 4, MOST_JUDGED // total))
            for grid, rows in same_grids(self.sizes[part]):
                for some in rows.repeat(draws).split(64):
                    share = len(some) / (total * draws)
                    latent += share * float(self._latent_loss(module, part, some, grid, generator))
        return {"loss": lattice + latent, "lattice_loss": lattice, "latent_loss": latent}

    def validate(self, module: LocalPrior) -> dict[str, float]:
        """Return the losses of the validation part."""
        return self._evaluate(module, "validation" if len(self.parts["validation"].rows) else "train")

    def test(self, module: LocalPrior) -> dict[str, float]:
        """Return the same on the test part."""
        return self._evaluate(module, "test") if len(self.parts["test"].rows) else {}


def with_codes(examples: Examples, start: LocalPrior, seed: int) -> Examples:
    """Return examples with codes of the elements that are learned from them; where they are few, with those before."""
    codes = learn_codes(examples, seed)
    if codes is None and start.config.example_codes:
        codes = start.examples().codes
    return replace(examples, codes=codes)


def groups_in(space: ConditionSpace, rows: np.ndarray) -> np.ndarray:
    """Return the numbers of the space groups in rows of conditions, (B,), 0 where the prior is not told of them."""
    place = space.blocks.get("space_group")
    if place is None:
        return np.zeros(len(rows), dtype=np.int64)
    told = rows[:, place]
    return np.where(told[:, -1] > 0, told[:, :-1].argmax(axis=1) + 1, 0)


def between(goal: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Return states on the straight lines from noise to the goals, their times (B,) and the velocity on each line."""
    noise = torch.randn(goal.shape, generator=generator, device=goal.device)
    t = torch.rand(len(goal), generator=generator, device=goal.device)
    at = t.reshape(-1, *[1] * (goal.dim() - 1))
    return (1 - at) * noise + at * goal, t, goal - noise


def at_an_atom(batch: CrystalBatch, generator: torch.Generator) -> tuple[CrystalBatch, Tensor, Tensor]:
    """Return the crystals with an atom of the rarest element as the origin, half of them inverted.

    Which of these atoms is drawn anew every time. Of elements that are equally rare the heaviest is taken.

    :return: the crystals, the origin of each (B, 3) and its sign (B, 1): a place x has become sign (x - origin).
    """
    device = batch.cell.device
    wanted = rarest_sites(batch).float()
    site = torch.multinomial(wanted, 1, generator=generator)
    origin = batch.frac.gather(1, site[:, :, None].expand(-1, -1, 3))
    sign = torch.randint(2, (len(batch), 1, 1), generator=generator, device=device) * 2.0 - 1.0
    moved = CrystalBatch(batch.cell, sign * (batch.frac - origin), batch.numbers)
    return moved, origin[:, 0], sign[:, 0]


def rarest_sites(batch: CrystalBatch) -> Tensor:
    """Return the sites of the rarest element of each crystal, of several the heaviest, (B, S) bool."""
    same = (batch.numbers[:, :, None] == batch.numbers[:, None, :]) & batch.mask[:, None, :]
    rank = same.sum(dim=2) * 200 - batch.numbers  # (B, S): the rarest first, then the heaviest
    rank = torch.where(batch.mask, rank, 10**6)
    return rank == rank.amin(dim=1, keepdim=True)


def lattice_statistics(batch: CrystalBatch) -> dict[str, list[float]]:
    """Return ``lattice_mean`` and ``lattice_std`` of the configuration."""
    vectors = lattice_to_vector(batch.cell)
    # Components that never vary get a floor, so that they are not blown up to noise.
    spread = vectors.std(dim=0, unbiased=False).clamp(min=0.02)
    return {"lattice_mean": vectors.mean(dim=0).tolist(), "lattice_std": spread.tolist()}


@torch.no_grad()
def latent_statistics(vae: Autoencoder, batch: CrystalBatch) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of the latents over the blocks of all crystals, (Z,) each."""
    generator = torch.Generator(batch.cell.device).manual_seed(0)
    count, total, squares = 0, torch.zeros((), device=batch.cell.device), torch.zeros((), device=batch.cell.device)
    for grid, rows in same_grids(vae.grid_of(batch.cell)):
        for some in rows.split(64):
            crystals, _, _ = at_an_atom(batch.take(some).trimmed(), generator)
            mean, log_variance = vae.encode(crystals, grid)
            over = (0, 2, 3, 4)
            total = total + mean.sum(dim=over)
            squares = squares + (mean**2 + log_variance.exp()).sum(dim=over)
            count += mean[:, 0].numel()
    average = total / count
    return average, (squares / count - average**2).sqrt()
