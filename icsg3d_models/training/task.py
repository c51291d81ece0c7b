"""What the training loop needs to know of a network: its loss, its validation and its final test."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ..data.datasets import Dataset
from ..settings import TrainSettings

Network = TypeVar("Network", bound=nn.Module)


class Task(ABC, Generic[Network]):
    """One network together with its data.

    :ivar kind: name of the network in :data:`icsg3d_models.networks.model_file.NETWORKS`.
    :ivar module: what is trained; its state_dict is what is saved.
    :ivar config: JSON-able configuration from which the module is rebuilt.
    :ivar n_train: number of training crystals; batches are indices below it.
    :cvar compiled: methods of the module that do the work, for `compile`.
    """

    compiled: tuple[str, ...] = ("forward",)

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
        order = rng.permutation(self.n_train)
        return [order[start : start + size] for start in range(0, self.n_train - size + 1, size)]

    def fitted(self) -> dict[str, Any]:
        """Return what was changed of the model to start from before the first step, for the card."""
        return {}

    def save_extras(self, directory: Path) -> None:
        """Write files that belong beside the model, such as a fingerprint of the training set."""
