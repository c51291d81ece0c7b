"""Training of the CGCNN."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...comparison.fingerprint import FINGERPRINT_FILE, write_fingerprint
from ...data.datasets import PARTS, Dataset
from ...networks.cgcnn import CGCNN, CGCNNConfig
from ...properties.graph_batches import GraphStore
from ...settings import TrainSettings
from ..network_config import network_config, network_options
from .property_task import PropertyTask, check_named, known_columns, standardise, starting_ensemble


class CGCNNTask(PropertyTask):
    """Fit a CGCNN to crystals as graphs."""

    kind = "cgcnn"
    compiled = ("with_errors",)
    dataset: Dataset
    stores: dict[str, GraphStore]

    @classmethod
    def build(cls, settings: TrainSettings, dataset: Dataset, device: torch.device) -> CGCNNTask:
        """Create the network for the elements and targets of the training part, or take the one to start from.

        :raises StageError: no targets are named, or one has no spread in the training part.
        """
        train = dataset.part("train")
        module = starting_ensemble(settings, dataset, device)
        if module is None:
            check_named(settings, dataset)
            elements = np.unique(dataset.crystals.take(train).numbers).tolist()
            shape = network_options(settings)
            module = CGCNN(network_config(CGCNNConfig, shape, targets=settings.targets, elements=elements))
            standardise(module, known_columns(settings.targets, dataset)[0][train])
        config = module.config
        columns, known = known_columns(config.targets, dataset)
        stores, values = {}, {}
        for index, part in enumerate(PARTS):
            chosen = np.flatnonzero((dataset.split == index) & known)
            stores[part] = GraphStore(dataset.crystals.take(chosen), config.cutoff, device)
            values[part] = torch.from_numpy(columns[chosen]).float().to(device)
        task = cls(module.to(device), config.model_dump(), stores, values)
        task.dataset = dataset
        task.places = np.flatnonzero((dataset.split == 0) & known)
        task.shifts = task.shift(settings.targets_from.values())
        return task

    def outputs(self, indices: np.ndarray, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Return predictions and expected errors of every member for training crystals, (M, b, T) each."""
        return self.module.with_errors(self.stores["train"].graph(indices))

    def save_extras(self, directory: Path) -> None:
        """Write the fingerprint of the training part, by which novelty is judged without the data."""
        chosen = self.dataset.crystals.take(self.dataset.part("train"))
        write_fingerprint(directory / FINGERPRINT_FILE, chosen, self.dataset.name)
