"""Training of the U-Net of ICSG3D: true densities, turned by quarters, to elements and mask of every voxel.

Loss: cross-entropy of the elements, each weighted by how rare its voxels are, voxels of no atom not at all, and binary
cross-entropy of the mask, both means over the voxels.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ....data.datasets import Dataset
from ....fields.batches import CrystalBatch
from ....fields.seeds.icsg3d_box import CLASSES, ionic_radii, quarter_turns, refusals, species_map
from ....networks.seeds.icsg3d_unet import ICSG3DUNet, ICSG3DUNetConfig
from ....settings import TrainSettings
from ....settings.seeds.options import ICSG3DUNetOptions
from ...field_data import known_elements
from ...network_config import network_config, network_options
from ...start import starting_network
from ...task import Task
from .box_parts import Parts, parts_of

AT_ONCE = 32  # crystals that are labelled or validated together


class ICSG3DUNetTask(Task[ICSG3DUNet]):
    """Segment the true fields."""

    kind = "unet"

    def __init__(self, module: ICSG3DUNet, parts: Parts, device: torch.device) -> None:
        self.module, self.parts, self.device = module, parts.batches, device
        self.config = module.config.model_dump()
        self.n_train, self.places, self.left_out = len(parts.places), parts.places, parts.left_out

    @classmethod
    def build(cls, settings: TrainSettings, dataset: Dataset, device: torch.device) -> ICSG3DUNetTask:
        """Create the network with weights of the classes from the training part, or take the one to start from."""
        parts = parts_of(dataset, refusals, device)
        module = starting_network(settings, dataset, device, "ICSG3DUNet")
        if module is None:
            options = network_options(settings)
            assert isinstance(options, ICSG3DUNetOptions)
            fixed = {"elements": known_elements(dataset), "radii": ionic_radii().tolist()}
            weights = class_weights(parts.batches["train"], options, device)
            module = ICSG3DUNet(network_config(ICSG3DUNetConfig, options, **fixed, class_weights=weights)).to(device)
        return cls(module, parts, device)

    def loss(
        self, indices: np.ndarray, generator: torch.Generator, step_fraction: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of one batch."""
        return self._loss(self.module, self.parts["train"].take(indices), generator)

    def _loss(
        self, module: ICSG3DUNet, batch: CrystalBatch, generator: torch.Generator | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss, of crystals as they are where there is no generator."""
        config = module.config
        channels = module.channels(batch)
        species = species_map(batch, module.radii, config.grid, config.sigma_fraction, config.label_fraction)
        if generator is not None:
            turned = quarter_turns(torch.cat([channels, species[:, None].float()], dim=1), generator)
            channels, species = turned[:, :-1], turned[:, -1].long()
        logits, mask = module(channels)
        inside = (species > 0).float()
        mask_loss = functional.binary_cross_entropy_with_logits(mask, inside)
        species_loss = functional.cross_entropy(logits, species, weight=module.class_weights, reduction="none").mean()
        named = logits[:, 1:].argmax(dim=1) + 1
        right = ((named == species) * inside).sum() / inside.sum().clamp(min=1)
        overlap = ((mask > 0) * inside).sum() / ((mask > 0) | (inside > 0)).sum().clamp(min=1)
        return species_loss + mask_loss, {
            "species_loss": species_loss, "mask_loss": mask_loss, "voxel_accuracy": right, "mask_overlap": overlap
        }  # fmt: skip

    def validate(self, module: ICSG3DUNet) -> dict[str, float]:
        """Return the metrics of the validation part (of the training part where that is empty)."""
        return self._evaluate(module, "validation" if len(self.parts["validation"]) else "train")

    def test(self, module: ICSG3DUNet) -> dict[str, float]:
        """Return the metrics of the test part."""
        return self._evaluate(module, "test") if len(self.parts["test"]) else {}

    def _evaluate(self, module: ICSG3DUNet, part: str) -> dict[str, float]:
        data = self.parts[part]
        total: dict[str, float] = {}
        module.eval()
        with torch.no_grad():
            for rows in torch.arange(len(data), device=self.device).split(AT_ONCE):
                loss, metrics = self._loss(module, data.take(rows), None)
                for name, value in {"loss": loss, **metrics}.items():
                    total[name] = total.get(name, 0.0) + float(value) * len(rows) / len(data)
        return total


def class_weights(train: CrystalBatch, options: ICSG3DUNetOptions, device: torch.device) -> list[float]:
    """Return the weight of each class, (95,): all voxels over its own, none for voxels of no atom and unseen elements.

    Published code means these and gives the loss their number, 95, instead; see `as_published_class_weights`.
    """
    if options.as_published_class_weights:
        return [float(CLASSES)] * CLASSES
    radii = torch.from_numpy(ionic_radii()).float().to(device)
    count = torch.zeros(CLASSES, dtype=torch.float64)
    for rows in torch.arange(len(train), device=device).split(AT_ONCE):
        species = species_map(train.take(rows), radii, options.grid, options.sigma_fraction, options.label_fraction)
        count += torch.bincount(species.flatten(), minlength=CLASSES).double().cpu()
    weights = torch.where(count > 0, count.sum() / count.clamp(min=1), 0.0)
    weights[0] = 0.0
    return [round(float(weight), 4) for weight in weights]
