"""What the training of every property model shares: any set of targets, some of which may be missing."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ...data.datasets import Dataset
from ...networks.layers.ensemble import PropertyEnsemble
from ...results import StageError
from ...settings import TrainSettings
from ..start import starting_network
from ..targets import check_targets
from ..task import Task

KNEE = 0.1  # standardised error at which the loss turns from quadratic to linear
FOLDS = 8  # a member that expects errors does not see one crystal in so many, a different one each
FEWEST_FOLDED = 200  # crystals; with fewer every member sees all of them
FEWEST_CALIBRATED = 10  # errors; with fewer the uncertainty stays as it is


class Store(Protocol):
    """Crystals of one part, in the form that the network takes."""

    def __len__(self) -> int: ...

    def batches(self) -> Iterator[tuple[np.ndarray, Any]]:
        """Yield all crystals in order as (indices, batch)."""


class PropertyTask(Task[PropertyEnsemble]):
    """Fit every member of an ensemble to the known targets of a batch.

    :param module: the network, with mean and scale of the targets set.
    :param stores: crystals of each part of the dataset.
    :param values: (B, T) targets of each part, NaN where missing; crystals without any are left out.
    :ivar held: (M, B) which crystals of the training part each member does not learn the targets of.
    :ivar squared: whether errors enter the loss squared, however large they are.
    :ivar shifts: target -> what its predictions were shifted by before the first step.
    """

    module: PropertyEnsemble
    squared: bool = False
    shifts: Mapping[str, float] = MappingProxyType({})

    def __init__(
        self,
        module: PropertyEnsemble,
        config: dict[str, Any],
        stores: dict[str, Any],
        values: dict[str, Tensor],
    ) -> None:
        self.module, self.stores, self.values = module, stores, values
        self.config = config
        self.n_train = len(stores["train"])
        fold = torch.from_numpy(np.random.default_rng(0).permutation(self.n_train) % FOLDS)
        members = torch.arange(len(module.members))[:, None] % FOLDS
        self.folded = module.expects_errors and self.n_train >= FEWEST_FOLDED
        self.held = ((fold == members) & self.folded).to(values["train"].device)  # (M, B)

    def shift(self, names: Iterable[str]) -> dict[str, float]:
        """Shift the predictions of targets by their mean error on the training part; return by how much.

        What a model learns anew under another name often differs by a constant first of all: another zero.
        """
        prediction, _ = self._predict(self.module, "train")
        errors = torch.nanmean(self.values["train"] - prediction, dim=0)
        shifts = {name: float(errors[self.config["targets"].index(name)]) for name in names}
        for name, value in shifts.items():
            self.module.mean[self.config["targets"].index(name)] += value
        self.module.train()
        return shifts

    def fitted(self) -> dict[str, Any]:
        """Return by how much the predictions of targets were shifted that continue another one."""
        return {"shifts": dict(self.shifts)} if self.shifts else {}

    @abstractmethod
    def outputs(self, indices: np.ndarray, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Return the standardised predictions of every member for training crystals, and the errors it expects.

        As ``with_errors`` of the network does, (M, b, T) each.
        """

    def loss(
        self, indices: np.ndarray, generator: torch.Generator, step_fraction: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Huber loss, or squared error, of the standardised targets, over what is known, summed over the members.

        Errors that members expect are fitted by the likelihood of a Laplace distribution, |error| / b + log b; it
        reaches nothing but the layers that expect them. A member learns them from the crystals whose targets it does
        not learn: errors of what it has learned are smaller than those that it will make.
        """
        module = self.module
        rows = torch.from_numpy(indices).to(self.values["train"].device)
        wanted = (self.values["train"][rows] - module.mean) / module.scale  # (b, T)
        known = torch.isfinite(wanted)
        found, expected = self.outputs(indices, generator)  # (M, b, T)
        held = self.held[:, rows, None]  # (M, b, 1)
        learned = known & ~held
        error = found - torch.where(known, wanted, 0)
        beyond = (known & held if self.folded else known).expand_as(error)
        expected_loss = torch.zeros((), device=found.device)
        if expected is not None:
            unlikely = (error.detach().abs() * (-expected).exp() + expected) * beyond
            expected_loss = len(found) * unlikely.sum() / beyond.sum().clamp(min=1)
        error = error * learned
        share = learned.expand_as(error).sum().clamp(min=1) / len(found)
        metrics = {"error": error.detach().abs().sum() / share / len(found)}
        if self.squared:
            loss = error.square().sum()
        else:
            loss = nn.functional.huber_loss(error, torch.zeros_like(error), delta=KNEE, reduction="sum") / KNEE
        return loss / share + expected_loss, metrics

    def validate(self, module: PropertyEnsemble) -> dict[str, float]:
        """Return the mean standardised error and each target's error; fit the scale of the uncertainty.

        Where the validation part is empty, the training part stands in for it.
        """
        part = "validation" if len(self.stores["validation"]) else "train"
        prediction, spread = self._predict(module, part)
        wanted = self.values[part]
        if part == "validation" and module.has_uncertainty:
            for index in range(wanted.shape[1]):
                known = torch.isfinite(wanted[:, index])
                error = (prediction - wanted)[known, index]
                if int(known.sum()) >= FEWEST_CALIBRATED:
                    module.spread[index], module.floor[index] = calibrate(error, spread[known, index])
        errors = (prediction - wanted).abs()
        metrics = {"loss": float(torch.nanmean(errors / module.scale))}
        return metrics | self._errors(errors)

    def test(self, module: PropertyEnsemble) -> dict[str, float]:
        """Return mean absolute errors, and the share of errors within one and two uncertainties."""
        if not len(self.stores["test"]):
            return {}
        prediction, spread = self._predict(module, "test")
        errors = (prediction - self.values["test"]).abs()
        metrics = self._errors(errors)
        if module.has_uncertainty:
            uncertainty = module.uncertainty(spread)
            for index, name in enumerate(self.config["targets"]):
                known = torch.isfinite(errors[:, index])
                if not known.any():
                    continue
                ratio = errors[known, index] / uncertainty[known, index]
                metrics[f"within_1_sigma_{name}"] = float((ratio < 1).float().mean())
                metrics[f"within_2_sigma_{name}"] = float((ratio < 2).float().mean())
        return metrics

    def _predict(self, module: PropertyEnsemble, part: str) -> tuple[Tensor, Tensor]:
        """Return predictions and the members' standard deviation over one part, (B, T) each."""
        module.eval()
        with torch.no_grad():
            pairs = [module.members_statistics(batch) for _, batch in self.stores[part].batches()]
        return torch.cat([mean for mean, _ in pairs]), torch.cat([spread for _, spread in pairs])

    def _errors(self, errors: Tensor) -> dict[str, float]:
        """Return the mean absolute error of each target that is known of some crystal, in its unit."""
        known = torch.isfinite(errors).any(dim=0).tolist()
        names = enumerate(self.config["targets"])
        return {f"mae_{name}": float(torch.nanmean(errors[:, i])) for i, name in names if known[i]}


def check_named(settings: TrainSettings, dataset: Dataset) -> None:
    """Check that there are targets, and that each can be learned.

    :raises StageError: no targets are named, or one has no spread in the training part.
    """
    if not settings.targets:
        known = ", ".join(dataset.properties) or "none"
        raise StageError(
            "settings_rejected", f"`targets` is empty; name properties to predict (the dataset has {known})"
        )
    check_targets(settings.targets, dataset, validated=True)


def starting_ensemble(settings: TrainSettings, dataset: Dataset, device: torch.device) -> Any | None:
    """Return the property model to start from with the targets of this training; None where there is none.

    :raises StageError: a target that the model neither has nor is told to continue as another one.
    """
    module = starting_network(settings, dataset, device)
    if module is None:
        return None
    own = module.config.targets
    if foreign := sorted(set(settings.targets_from) - set(own)):
        raise StageError(
            "settings_rejected",
            f"`targets_from`: {', '.join(foreign)}; the model to start from predicts {', '.join(own)}",
        )
    named = [settings.targets_from.get(name, name) for name in own]
    wanted = settings.targets or named
    if foreign := [name for name in wanted if name not in named]:
        raise StageError(
            "settings_rejected",
            f"`targets`: {', '.join(foreign)}; the model to start from predicts {', '.join(own)}; say by "
            "`targets_from` which of them a new one continues",
        )
    check_targets(wanted, dataset, validated=False)
    module.take_targets([named.index(name) for name in wanted])
    module.config = module.config.model_copy(update={"targets": wanted})
    return module


def known_columns(names: list[str], dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the targets of all crystals, (B, T), NaN where missing, and which crystals have one at least, (B,)."""
    columns = np.stack([dataset.values(name) for name in names], axis=1)
    return columns, np.isfinite(columns).any(axis=1)


def standardise(module: PropertyEnsemble, train: np.ndarray) -> None:
    """Set mean and scale of the targets to those of the training part, (B, T)."""
    module.mean.copy_(torch.from_numpy(np.nanmean(train, axis=0)))
    module.scale.copy_(torch.from_numpy(np.nanstd(train, axis=0)))


def calibrate(error: Tensor, spread: Tensor) -> tuple[float, float]:
    """Return factor and floor of the uncertainty sqrt((factor · spread)² + floor²) that fit the errors best.

    The pair with the highest Gaussian likelihood on a grid is taken.

    :param error: (n,) errors of the prediction, in the unit of the target.
    :param spread: (n,) standard deviation of the members.
    """
    typical = error.square().mean().sqrt()
    floors = typical * torch.linspace(0.05, 1.5, 30, device=error.device)
    factors = torch.linspace(0, 5, 51, device=error.device)
    variance = (factors[:, None, None] * spread) ** 2 + floors[:, None] ** 2  # (51, 30, n)
    likelihood = -0.5 * (error**2 / variance + variance.log()).sum(-1)
    best = divmod(int(likelihood.argmax()), len(floors))
    return float(factors[best[0]]), float(floors[best[1]])
