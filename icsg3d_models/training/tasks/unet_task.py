"""Training of the U-Net: true fields, disturbed, to mask and species."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...data.datasets import Dataset
from ...fields.batches import CrystalBatch
from ...fields.grids import Grid, half
from ...fields.occupancy import occupancy_field, species_field
from ...networks.unet import UNet, UNetConfig
from ...settings import TrainSettings
from ..augmentation import substitute_elements, varied
from ..field_data import GridBatches, class_table, known_elements
from ..network_config import network_config, network_options
from ..start import starting_network
from .field_task import FieldTask

MASK_LEVEL = 0.5  # occupancy above which a voxel belongs to an atom
SUBSTITUTION = 0.3  # probability that an element is exchanged, so that rare ones are seen
RATTLE = 0.1  # Å, see augmentation.py; for crystals of many shapes
NOISE = 0.2  # largest standard deviation of the noise added to the fields


class UNetTask(FieldTask[UNet]):
    """Segment fields with noise, blur and random origins, so that decoded fields are segmented too."""

    kind = "unet"
    compiled = ("features",)

    def __init__(self, module: UNet, data: GridBatches, device: torch.device) -> None:
        self.module, self.data = module, data
        self.config = module.config.model_dump()
        self.n_train = len(data.parts["train"])
        self.device = device
        self.classes = class_table(module.config.elements, device)

    @classmethod
    def build(cls, settings: TrainSettings, dataset: Dataset, device: torch.device) -> UNetTask:
        """Create the U-Net for the elements of the training part, or take the one to start from."""
        module = starting_network(settings, dataset, device)
        if module is None:
            config = network_config(UNetConfig, network_options(settings), elements=known_elements(dataset))
            module = UNet(config).to(device)
        return cls(module, GridBatches(dataset, module.config.grid, module.config.spacing, device), device)

    def loss(
        self, indices: np.ndarray, generator: torch.Generator, step_fraction: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy of mask (every voxel) and species (at points inside every atom)."""
        batch, grid = self.data.take("train", indices)
        numbers = substitute_elements(batch.numbers, self.module.config.elements, SUBSTITUTION, generator)
        spacing = self.data.spacing
        if spacing is None:
            shift = torch.rand(len(batch), 1, 3, generator=generator, device=self.device)
            other = CrystalBatch(batch.cell, (batch.frac + shift) % 1.0, numbers)
        else:
            batch = CrystalBatch(batch.cell, batch.frac, numbers)
            other, grid = varied(batch, self.module.config.elements, spacing, RATTLE, generator)
        return self._loss(self.module, other, grid, generator)

    def _loss(
        self, module: UNet, batch: CrystalBatch, grid: Grid, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss on a batch whose fields are disturbed by noise of a random level per crystal."""

        def noise(shape: torch.Size) -> Tensor:
            level = NOISE * torch.rand(shape[0], 1, 1, 1, 1, generator=generator, device=self.device) ** 2
            return level * torch.randn(shape, generator=generator, device=self.device)

        clean = occupancy_field(batch, grid)
        species = species_field(batch, half(grid))
        species = species + noise(species.shape)
        features = module.features(clean + noise(clean.shape), species)
        target = (clean[:, 0] > MASK_LEVEL).float()
        mask_loss = functional.binary_cross_entropy_with_logits(module.mask_logits(features), target)
        jitter = 0.15 * torch.randn(batch.frac.shape, generator=generator, device=self.device)
        frac = batch.frac + jitter @ torch.linalg.inv(batch.cell)
        logits = module.species_logits(features, species, frac)
        wanted = torch.where(batch.mask, self.classes[batch.numbers], -1)
        species_loss = functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=-1)
        right = ((logits.argmax(-1) == wanted) & batch.mask).sum() / batch.mask.sum()
        return 10 * mask_loss + species_loss, {"mask_loss": mask_loss, "species_accuracy": right}

    def evaluate(self, module: UNet, part: str) -> dict[str, float]:
        """Return mean loss and accuracy over one part with fixed noise."""
        data = self.data.parts[part]
        known = (self.classes[data.numbers] >= 0) | ~data.mask
        chosen = torch.nonzero(known.all(dim=1)).flatten()
        total: dict[str, float] = {}
        generator = torch.Generator(self.device).manual_seed(0)
        with torch.no_grad():
            for rows in self.data.rows(part, 256, chosen):
                loss, metrics = self._loss(module, *self.data.take(part, rows), generator)
                for name, value in {"loss": loss, **metrics}.items():
                    total[name] = total.get(name, 0.0) + float(value) * len(rows) / len(chosen)
        return total
