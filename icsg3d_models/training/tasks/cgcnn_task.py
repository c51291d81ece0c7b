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
from .property_task import PropertyTask, standardise, target_columns


class CGCNNTask(PropertyTask):
    """Fit a CGCNN to crystals as graphs."""

    kind = "cgcnn"
    dataset: Dataset
    stores: dict[str, GraphStore]

    @classmethod
    def build(cls, settings: TrainSettings, dataset: Dataset, device: torch.device) -> CGCNNTask:
        """Create the network for the elements and targets of the training part.

        :raises StageError: no targets are named, or one has no spread in the training part.
        """
        columns = target_columns(settings, dataset)
        train = dataset.part("train")
        elements = np.unique(dataset.crystals.take(train).numbers).tolist()
        config = network_config(CGCNNConfig, network_options(settings), targets=settings.targets, elements=elements)
        module = CGCNN(config)
        standardise(module, columns[train])
        stores, values = {}, {}
        for index, part in enumerate(PARTS):
            chosen = np.flatnonzero(dataset.split == index)
            stores[part] = GraphStore(dataset.crystals.take(chosen), config.cutoff, device)
            values[part] = torch.from_numpy(columns[chosen]).float().to(device)
        task = cls(module.to(device), config.model_dump(), stores, values)
        task.dataset = dataset
        return task

    def outputs(self, indices: np.ndarray, generator: torch.Generator) -> Tensor:
        """Return the standardised predictions of every member for training crystals, (M, b, T)."""
        found: Tensor = self.module(self.stores["train"].graph(indices))
        return found

    def save_extras(self, directory: Path) -> None:
        """Write the fingerprint of the training part, by which novelty is judged without the data."""
        chosen = self.dataset.crystals.take(self.dataset.part("train"))
        write_fingerprint(directory / FINGERPRINT_FILE, chosen, self.dataset.name)
