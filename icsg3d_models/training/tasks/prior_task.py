"""Training of the latent prior on the latents of a trained VAE."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...crystals.validity import composition_valid
from ...data.datasets import Dataset
from ...fields.batches import CrystalBatch
from ...generation.encoding import encode
from ...networks.local_vae import LocalVAE
from ...networks.model_file import file_hash
from ...networks.prior import FREE_ELEMENTS, FREE_TARGETS, Prior, PriorConfig
from ...networks.registry import load_network
from ...networks.vae import VAE
from ...results import StageError
from ...settings import TrainSettings
from ..field_data import part_batch
from ..network_config import network_config, network_options
from ..task import Task
from .local_prior_task import LocalPriorTask


class PriorTask(Task):
    """Flow matching on (latent, elements, targets) of the training crystals."""

    kind = "prior"

    def __init__(
        self,
        module: Prior,
        latents: dict[str, tuple[Tensor, Tensor]],
        conditions: dict[str, tuple[Tensor, Tensor]],
    ) -> None:
        self.module, self.latents, self.conditions = module, latents, conditions
        self.config = module.config.model_dump()
        self.n_train = len(latents["train"][0])

    @classmethod
    def build(cls, settings: TrainSettings, dataset: Dataset, device: torch.device) -> Task:
        """Encode the dataset and create the prior; that of a local VAE is another task."""
        if settings.vae is None:
            raise StageError("settings_rejected", "network `prior` needs `vae`, the model file of a trained VAE")
        vae = load_network(settings.vae, "vae", device)
        if isinstance(vae, LocalVAE):
            return LocalPriorTask.build(settings, dataset, device)
        assert isinstance(vae, VAE)
        parts = {name: part_batch(dataset, name, device) for name in ("train", "validation", "test")}
        latents = {name: encode(vae, batch) for name, batch in parts.items()}
        mean, log_variance = latents["train"]
        spread = (mean.var(dim=0, unbiased=False) + log_variance.exp().mean(dim=0)).sqrt()
        values = {name: dataset.values(name) for name in settings.targets}
        rows = {name: dataset.split == i for i, name in enumerate(("train", "validation", "test"))}
        target_mean = [float(np.nanmean(v[rows["train"]])) for v in values.values()]
        target_std = [float(np.nanstd(v[rows["train"]])) or 1.0 for v in values.values()]
        fixed: dict[str, Any] = {
            "elements": vae.config.elements,
            "latent_mean": mean.mean(dim=0).tolist(),
            "latent_std": spread.tolist(),
            "targets": settings.targets,
            "target_mean": target_mean,
            "target_std": target_std,
            "vae_sha256": file_hash(settings.vae),
        }
        config = network_config(
            PriorConfig, network_options(settings, local=False), **fixed, examples=0, example_elements=0
        )
        if config.valid_compositions:
            valid = valid_rows(dataset, rows["train"]).to(device)
            latents["train"] = (mean[valid], log_variance[valid])
            parts["train"] = parts["train"].take(valid)
            rows["train"] = np.flatnonzero(rows["train"])[valid.cpu().numpy()]
        conditions = {}
        for name, batch in parts.items():
            columns = [
                (v[rows[name]] - m) / s for v, m, s in zip(values.values(), target_mean, target_std, strict=True)
            ]
            scaled = np.stack(columns, axis=1) if columns else np.zeros((len(batch), 0))
            conditions[name] = (
                presence(batch, vae.config.elements),
                torch.tensor(scaled, dtype=torch.float32, device=device),
            )
        held, targets = conditions["train"]
        kept = {"examples": len(held), "example_elements": int(held.sum(dim=1).max())}
        module = Prior(config.model_copy(update=kept)).to(device)
        module.keep(held, targets)
        return cls(module, latents, conditions)

    def loss(
        self, indices: np.ndarray, generator: torch.Generator, step_fraction: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Flow-matching loss with conditions left out at random."""
        assert isinstance(self.module, Prior)
        return self._loss(self.module, "train", torch.as_tensor(indices), generator, drop=True), {}

    def _loss(self, module: Prior, part: str, rows: Tensor, generator: torch.Generator, drop: bool) -> Tensor:
        """Return the mean squared error of the velocity."""
        mean, log_variance = (x[rows] for x in self.latents[part])
        present, targets = (x[rows] for x in self.conditions[part])
        device, size = mean.device, len(rows)

        def uniform(*shape: int) -> Tensor:
            return torch.rand(shape, generator=generator, device=device)

        def normal() -> Tensor:
            return torch.randn(mean.shape, generator=generator, device=device)

        latent = mean + normal() * (0.5 * log_variance).exp()
        goal = (latent - module.latent_mean) / module.latent_std
        # "Only these elements" is learned from supersets of what the crystal holds, of every size.
        extra = uniform(size, 1) ** 2
        allowed = torch.maximum(present, (uniform(*present.shape) < extra).float())
        if drop:
            allowed = allowed * (uniform(size, 1) >= FREE_ELEMENTS)
            targets = torch.where(uniform(*targets.shape) < FREE_TARGETS, torch.nan, targets)
        noise, t = normal(), uniform(size)
        state = (1 - t[:, None]) * noise + t[:, None] * goal
        return ((module(state, t, allowed, targets) - (goal - noise)) ** 2).mean()

    def _evaluate(self, module: nn.Module, part: str) -> dict[str, float]:
        """Return the loss over one part, averaged over repeated draws to tame its noise."""
        assert isinstance(module, Prior)
        rows = torch.arange(len(self.latents[part][0])).repeat(max(1, 4096 // max(1, len(self.latents[part][0]))))
        generator = torch.Generator(module.latent_mean.device).manual_seed(0)
        with torch.no_grad():
            return {"loss": float(self._loss(module, part, rows, generator, drop=False))}

    def validate(self, module: nn.Module) -> dict[str, float]:
        """Return the conditional flow-matching loss of the validation part."""
        return self._evaluate(module, "validation" if len(self.latents["validation"][0]) else "train")

    def test(self, module: nn.Module) -> dict[str, float]:
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


def presence(batch: CrystalBatch, elements: list[int]) -> Tensor:
    """Return (B, E), 1 where a crystal holds the element."""
    wanted = torch.tensor(elements, device=batch.numbers.device)
    return (batch.numbers[:, :, None] == wanted).any(dim=1).float()
