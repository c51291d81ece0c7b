"""Training of the latent prior on the latents of a trained VAE."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...conditions.target import target_name
from ...crystals.validity import composition_valid
from ...data.datasets import PARTS, Dataset
from ...generation.encoding import encode
from ...networks.model_file import file_hash, read_header
from ...networks.prior import FREE, Prior, PriorConfig
from ...networks.registry import load_network
from ...results import StageError
from ...settings import TrainSettings
from ..blanking import blanked, widened
from ..field_data import part_batch
from ..network_config import network_config, network_options
from ..start import starting_network
from ..task import Task
from .latent_priors import conditions_of, kept_config, values_of
from .local_prior_task import LocalPriorTask


def prior_task(settings: TrainSettings, dataset: Dataset, device: torch.device) -> Task[Any]:
    """Return the training of the prior that belongs to the class of the VAE."""
    if settings.vae is None:
        raise StageError("settings_rejected", "network `prior` needs `vae`, the model file of a trained VAE")
    tasks: dict[str, type[Task[Any]]] = {"VAE": PriorTask, "LocalVAE": LocalPriorTask}
    name = read_header(settings.vae, "vae").class_name
    if name not in tasks:
        raise StageError(
            "input_incompatible",
            f"{settings.vae}: no prior is fitted to a {name}, whose latents are drawn from N(0, 1)",
        )
    return tasks[name].build(settings, dataset, device)


class PriorTask(Task[Prior]):
    """Flow matching on the latents of the training crystals under conditions."""

    kind = "prior"

    def __init__(self, module: Prior, latents: dict[str, tuple[Tensor, Tensor]], conditions: dict[str, Tensor]) -> None:
        self.module, self.latents, self.conditions = module, latents, conditions
        self.config = module.config.model_dump()
        self.n_train = len(latents["train"][0])

    @classmethod
    def build(cls, settings: TrainSettings, dataset: Dataset, device: torch.device) -> PriorTask:
        """Encode the dataset and create the prior, or take the one to start from.

        Which conditions of training crystals it keeps follows from these data in any case.
        """
        start = starting_network(settings, dataset, device, "Prior")
        vae = load_network(str(settings.vae), "vae", device)
        parts = {name: part_batch(dataset, name, device) for name in PARTS}
        latents = {name: encode(vae, batch) for name, batch in parts.items()}
        mean, log_variance = latents["train"]
        if start is not None:
            config = kept_config(start, settings)
        else:
            spread = (mean.var(dim=0, unbiased=False) + log_variance.exp().mean(dim=0)).sqrt()
            fixed: dict[str, Any] = {
                "elements": vae.config.elements,
                "latent_mean": mean.mean(dim=0).tolist(),
                "latent_std": spread.tolist(),
                **conditions_of(settings, dataset, vae.config.elements, Prior.usual),
                "vae_sha256": file_hash(str(settings.vae)),
            }
            config = network_config(
                PriorConfig, network_options(settings, local=False), **fixed, examples=0, example_elements=0
            )
        rows = {name: np.flatnonzero(dataset.split == i) for i, name in enumerate(PARTS)}
        if config.valid_compositions:
            valid = valid_rows(dataset, dataset.split == 0)
            latents["train"] = (mean[valid.to(device)], log_variance[valid.to(device)])
            rows["train"] = rows["train"][valid.numpy()]
        module = Prior(config)
        values = values_of(config.targets, dataset)
        shown = torch.from_numpy(module.conditions.describe(dataset.crystals, values)).to(device)
        conditions = {name: shown[some] for name, some in rows.items()}
        held = presence(dataset, rows["train"], config.elements).to(device)
        kept = {"examples": len(held), "example_elements": int(held.sum(dim=1).max())}
        module = Prior(config.model_copy(update=kept)).to(device)
        if start is not None:
            module.flow.load_state_dict(start.flow.state_dict())
        module.keep(held, targets_in(module, conditions["train"]))
        task = cls(module, latents, conditions)
        task.places = rows["train"]
        return task

    def loss(
        self, indices: np.ndarray, generator: torch.Generator, step_fraction: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Flow-matching loss with conditions left out at random."""
        return self._loss(self.module, "train", torch.as_tensor(indices), generator, drop=True), {}

    def _loss(self, module: Prior, part: str, rows: Tensor, generator: torch.Generator, drop: bool) -> Tensor:
        """Return the mean squared error of the velocity."""
        mean, log_variance = (x[rows] for x in self.latents[part])
        device, size = mean.device, len(rows)

        def normal() -> Tensor:
            return torch.randn(mean.shape, generator=generator, device=device)

        latent = mean + normal() * (0.5 * log_variance).exp()
        goal = (latent - module.latent_mean) / module.latent_std
        told = widened(module.conditions, self.conditions[part][rows], generator)
        if drop:
            told = blanked(module.conditions, told, generator, FREE, free=0.0)
        noise, t = normal(), torch.rand(size, generator=generator, device=device)
        state = (1 - t[:, None]) * noise + t[:, None] * goal
        return ((module(state, t, told) - (goal - noise)) ** 2).mean()

    def _evaluate(self, module: Prior, part: str) -> dict[str, float]:
        """Return the loss over one part, averaged over repeated draws to tame its noise."""
        rows = torch.arange(len(self.latents[part][0])).repeat(max(1, 4096 // max(1, len(self.latents[part][0]))))
        generator = torch.Generator(module.latent_mean.device).manual_seed(0)
        with torch.no_grad():
            return {"loss": float(self._loss(module, part, rows, generator, drop=False))}

    def validate(self, module: Prior) -> dict[str, float]:
        """Return the conditional flow-matching loss of the validation part."""
        return self._evaluate(module, "validation" if len(self.latents["validation"][0]) else "train")

    def test(self, module: Prior) -> dict[str, float]:
        """Return the same on the test part."""
        return self._evaluate(module, "test") if len(self.latents["test"][0]) else {}


def valid_rows(dataset: Dataset, part: np.ndarray) -> Tensor:
    """Return which crystals of one part have a valid composition, counted within the part.

    A generator of crystals that are to be screened need not learn what the screening throws out.

    :raises StageError: none has.
    """
    formulas = dataset.crystals.take(np.flatnonzero(part)).formulas()
    known = {formula: composition_valid(formula) for formula in set(formulas)}
    valid = torch.tensor([i for i, formula in enumerate(formulas) if known[formula]])
    if len(valid) == 0:
        raise StageError("settings_rejected", "`valid_compositions`: no training crystal has a valid composition")
    return valid


def presence(dataset: Dataset, rows: np.ndarray, elements: list[int]) -> Tensor:
    """Return (N, E) bool, True where one of the chosen crystals holds the element."""
    chosen = dataset.crystals.take(rows)
    return torch.from_numpy(np.array([np.isin(elements, chosen.sites(i)[1]) for i in range(len(chosen))]))


def targets_in(module: Prior, conditions: Tensor) -> Tensor:
    """Return the standardised targets, (N, T), of vectors of conditions, NaN where not known."""
    places = [module.conditions.blocks[target_name(name)] for name in module.config.targets]
    columns = [torch.where(conditions[:, p.start + 1] > 0, conditions[:, p.start], torch.nan) for p in places]
    return torch.stack(columns, dim=1) if columns else conditions[:, :0]
