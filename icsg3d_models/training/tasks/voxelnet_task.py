"""Training of VoxelNet: crystals in a new random orientation every time they are seen.

Random inversion, the other augmentation of the paper, would change nothing: opposite points of the grid are equal.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...data.datasets import PARTS, Dataset
from ...networks.voxelnet import VoxelNet, VoxelNetConfig, random_rotations
from ...properties.reciprocal_batches import ReciprocalStore
from ...settings import TrainSettings
from ..network_config import network_config, network_options
from .property_task import PropertyTask, check_named, known_columns, standardise, starting_ensemble


class VoxelNetTask(PropertyTask):
    """Fit a VoxelNet to crystals in reciprocal space."""

    kind = "voxelnet"
    stores: dict[str, ReciprocalStore]

    @classmethod
    def build(cls, settings: TrainSettings, dataset: Dataset, device: torch.device) -> VoxelNetTask:
        """Create the network for the elements and targets of the training part, or take the one to start from.

        :raises StageError: no targets are named, or one has no spread in the training part.
        """
        train = dataset.part("train")
        module = start = starting_ensemble(settings, dataset, device)
        if module is None:
            check_named(settings, dataset)
            elements = np.unique(dataset.crystals.take(train).numbers).tolist()
            shape = network_options(settings)
            module = VoxelNet(network_config(VoxelNetConfig, shape, targets=settings.targets, elements=elements))
            standardise(module, known_columns(settings.targets, dataset)[0][train])
            module.to(device)
        columns, known = known_columns(module.config.targets, dataset)
        stores, values = {}, {}
        for index, part in enumerate(PARTS):
            chosen = np.flatnonzero((dataset.split == index) & known)
            stores[part] = ReciprocalStore(dataset.crystals.take(chosen), module.limit, device)
            values[part] = torch.from_numpy(columns[chosen]).float().to(device)
        if start is None:
            module.level.copy_(typical_amplitudes(module, stores["train"]))
        task = cls(module, module.config.model_dump(mode="json"), stores, values)
        task.squared = module.config.loss == "squared"
        task.places = np.flatnonzero((dataset.split == 0) & known)
        task.shifts = task.shift(settings.targets_from.values())
        return task

    def outputs(self, indices: np.ndarray, generator: torch.Generator) -> tuple[Tensor, None]:
        """Return the standardised predictions of every member for training crystals, (M, b, T)."""
        rotation = random_rotations(len(indices), generator)
        return self.module(self.stores["train"].select(indices), rotation), None


@torch.no_grad()
def typical_amplitudes(module: VoxelNet, store: ReciprocalStore) -> Tensor:
    """Return the root mean square of every channel over the voxels of the crystals that have it, (C,)."""
    square, present = torch.zeros_like(module.level), torch.zeros_like(module.level)
    for _, batch in store.batches():
        mean = module.voxels(module.amplitudes(batch)).square().mean(dim=(2, 3, 4))  # (b, C)
        square += mean.sum(dim=0)
        present += (mean > 0).sum(dim=0)
    return (square / present.clamp(min=1)).sqrt().clamp(min=1e-12)
