"""Training of the CGCNN of ICSG3D: squared error of the targets that are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ....comparison.fingerprint import FINGERPRINT_FILE, write_fingerprint
from ....data.datasets import PARTS, Dataset
from ....networks.seeds.icsg3d_cgcnn import EIGHT, ICSG3DCGCNN, ICSG3DCGCNNConfig
from ....properties.graph_batches import GraphStore
from ....results import StageError
from ....settings import TrainSettings
from ...network_config import network_config, network_options
from ..property_task import PropertyTask, check_named, known_columns, standardise, starting_ensemble


class ICSG3DCGCNNTask(PropertyTask):
    """Fit the network to crystals as graphs."""

    kind = "cgcnn"
    squared = True
    dataset: Dataset
    stores: dict[str, GraphStore]

    @classmethod
    def build(cls, settings: TrainSettings, dataset: Dataset, device: torch.device) -> ICSG3DCGCNNTask:
        """Create the network for the targets that are named, else for those of the published eight that there are.

        :raises StageError: there are none, or one has no spread in the training part.
        """
        if not settings.targets and settings.start_from is None:
            present = [name for name in EIGHT if name in dataset.properties]
            if not present:
                raise StageError(
                    "settings_rejected", f"`targets` is empty, and the dataset has none of {', '.join(EIGHT)}"
                )
            settings = settings.model_copy(update={"targets": present})
        train = dataset.part("train")
        module = starting_ensemble(settings, dataset, device)
        if module is None:
            check_named(settings, dataset)
            elements = np.unique(dataset.crystals.take(train).numbers).tolist()
            shape = network_options(settings)
            config = network_config(ICSG3DCGCNNConfig, shape, targets=settings.targets, elements=elements)
            module = ICSG3DCGCNN(config)
            standardise(module, known_columns(settings.targets, dataset)[0][train])
        config = module.config
        columns, known = known_columns(config.targets, dataset)
        stores, values = {}, {}
        for index, part in enumerate(PARTS):
            chosen = np.flatnonzero((dataset.split == index) & known)
            stores[part] = GraphStore(dataset.crystals.take(chosen), config.cutoff, device, config.nearest)
            values[part] = torch.from_numpy(columns[chosen]).float().to(device)
        task = cls(module.to(device), config.model_dump(), stores, values)
        task.dataset = dataset
        task.places = np.flatnonzero((dataset.split == 0) & known)
        task.shifts = task.shift(settings.targets_from.values())
        return task

    def outputs(self, indices: np.ndarray, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Return the standardised predictions for training crystals, (1, b, T)."""
        return self.module.with_errors(self.stores["train"].graph(indices))

    def save_extras(self, directory: Path) -> None:
        """Write the fingerprint of the training part, by which novelty is judged without the data."""
        chosen = self.dataset.crystals.take(self.dataset.part("train"))
        write_fingerprint(directory / FINGERPRINT_FILE, chosen, self.dataset.name)
