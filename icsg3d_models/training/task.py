"""What the training loop needs to know of a network: its loss, its validation and its final test."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ..data.datasets import Dataset
from ..results import StageError
from ..settings import TrainSettings
from ..settings.train import Emphasis

Network = TypeVar("Network", bound=nn.Module)


class Task(ABC, Generic[Network]):
    """One network together with its data.

    :ivar kind: name of the network in :data:`icsg3d_models.networks.model_file.NETWORKS`.
    :ivar module: what is trained; its state_dict is what is saved.
    :ivar config: JSON-able configuration from which the module is rebuilt.
    :ivar n_train: number of training crystals; batches are indices below it.
    :ivar places: (n_train,) indices into the dataset; None: all of the training part.
    :ivar passes: (n_train,) times that a crystal is seen in an epoch; None: once.
    :ivar left_out: id -> why a crystal of the dataset cannot be taken.
    :cvar compiled: methods of the module that do the work, for `compile`.
    """

    compiled: tuple[str, ...] = ("forward",)
    places: np.ndarray | None = None
    passes: np.ndarray | None = None
    left_out: Mapping[str, str] = MappingProxyType({})

    kind: str
    module: Network
    config: dict[str, Any]
    n_train: int

    @classmethod
    @abstractmethod
    def build(cls, settings: TrainSettings, dataset: Dataset, device: torch.device) -> Task[Any]:
        """Create the network and put the data in place.

        :raises icsg3d_models.results.StageError: the dataset or the models given do not fit.
        """

    @abstractmethod
    def loss(
        self, indices: np.ndarray, generator: torch.Generator, step_fraction: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean loss of one batch and what else is worth logging.

        :param indices: (b,) indices into the training part.
        :param generator: source of all randomness of this step, on the device.
        :param step_fraction: share of the training that is done, 0 to 1, for schedules.
        """

    @abstractmethod
    def validate(self, module: Network) -> dict[str, float]:
        """Return metrics of the validation part; ``loss`` is what the best checkpoint minimises."""

    @abstractmethod
    def test(self, module: Network) -> dict[str, float]:
        """Return metrics of the test part for the model card; empty where that part is empty."""

    def batches(self, size: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Return the batches of one epoch; their number must not depend on ``rng``.

        Here any crystals share a batch, and what is left over waits for the next epoch.
        """
        order = rng.permutation(self.seen())
        return [order[start : start + size] for start in range(0, len(order) - size + 1, size)]

    def seen(self) -> np.ndarray:
        """Return the training crystals as often as they are seen in an epoch."""
        every = np.arange(self.n_train)
        return every if self.passes is None else np.repeat(every, self.passes)

    def emphasise(self, emphasis: Emphasis, dataset: Dataset) -> int:
        """See some crystals more often, and return how many.

        :raises icsg3d_models.results.StageError: there is none.
        """
        places = dataset.part("train") if self.places is None else self.places
        values = dataset.values(emphasis.property)[places]
        low, high = (-np.inf if emphasis.at_least is None else emphasis.at_least,
                     np.inf if emphasis.at_most is None else emphasis.at_most)  # fmt: skip
        chosen = np.isfinite(values) & (low <= values) & (values <= high)
        if not chosen.any():
            raise StageError(
                "input_incompatible",
                f"`emphasis`: no training crystal has {emphasis.property} between {low:g} and {high:g}; there are "
                f"{int(np.isfinite(values).sum())} values; widen the bounds, or leave it out",
            )
        self.passes = np.where(chosen, emphasis.times, 1)
        return int(chosen.sum())

    def fitted(self) -> dict[str, Any]:
        """Return what was changed of the model to start from before the first step, for the card."""
        return {}

    def save_extras(self, directory: Path) -> None:
        """Write files that belong beside the model, such as a fingerprint of the training set."""
