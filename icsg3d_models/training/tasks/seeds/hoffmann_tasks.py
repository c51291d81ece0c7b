"""Training of the networks of Hoffmann et al.: a U-Net that labels densities, and a VAE that it judges.

The published code trains both at once, the U-Net on what the VAE decodes. Here a model file is one network: first a
U-Net on true densities, then a VAE with it, then, with `vae` among the settings, a U-Net on what that decodes.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ....data.datasets import Dataset
from ....fields.batches import CrystalBatch
from ....fields.seeds.hoffmann_box import CLASSES, fields_of, refusals
from ....networks.registry import load_network
from ....networks.seeds.hoffmann_unet import HoffmannUNet, HoffmannUNetConfig
from ....networks.seeds.hoffmann_vae import HoffmannVAE, HoffmannVAEConfig, upright
from ....results import StageError
from ....settings import TrainSettings
from ....settings.seeds.options import HoffmannUNetOptions, HoffmannVAEOptions
from ...field_data import known_elements
from ...network_config import network_config, network_options
from ...start import starting_network
from ...task import Network, Task
from .box_parts import Parts, parts_of

AT_ONCE = 16  # crystals that are validated together


class BoxTask(Task[Network]):
    """What both have in common: crystals in a new orientation and origin every time they are seen.

    :ivar representation: what the box shows.
    :ivar nearest_only: see :func:`icsg3d_models.fields.seeds.hoffmann_box.density_of_nearest`.
    """

    representation: Any
    nearest_only: bool

    def __init__(self, module: Network, parts: Parts, device: torch.device) -> None:
        self.module, self.parts, self.device = module, parts.batches, device
        self.config = module.config.model_dump()  # type: ignore[union-attr,operator]
        self.n_train, self.places, self.left_out = len(parts.places), parts.places, parts.left_out

    @abstractmethod
    def judged(
        self, module: Network, density: Tensor, labels: Tensor, generator: torch.Generator | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of densities (b, 1, n, n, n) with true labels (b, n, n, n), and its parts."""

    def _fields(self, batch: CrystalBatch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return densities and labels in an orientation drawn on the CPU, where positions are made."""
        seed = int(torch.randint(2**62, (1,), generator=generator, device=generator.device))
        turned = CrystalBatch(upright(batch.cell), batch.frac, batch.numbers)
        drawn = torch.Generator().manual_seed(seed)
        return fields_of(turned, self.representation, drawn, self.nearest_only)

    def loss(
        self, indices: np.ndarray, generator: torch.Generator, step_fraction: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of one batch."""
        density, labels = self._fields(self.parts["train"].take(indices), generator)
        return self.judged(self.module, density, labels, generator)

    def validate(self, module: Network) -> dict[str, float]:
        """Return the metrics of the validation part (of the training part where that is empty)."""
        return self._evaluate(module, "validation" if len(self.parts["validation"]) else "train")

    def test(self, module: Network) -> dict[str, float]:
        """Return the metrics of the test part."""
        return self._evaluate(module, "test") if len(self.parts["test"]) else {}

    def _evaluate(self, module: Network, part: str) -> dict[str, float]:
        """Return the metrics of one part, always in the same orientations."""
        data, generator = self.parts[part], torch.Generator(self.device).manual_seed(0)
        total: dict[str, float] = {}
        module.eval()
        with torch.no_grad():
            for rows in torch.arange(len(data), device=self.device).split(AT_ONCE):
                loss, metrics = self.judged(module, *self._fields(data.take(rows), generator), None)
                for name, value in {"loss": loss, **metrics}.items():
                    total[name] = total.get(name, 0.0) + float(value) * len(rows) / len(data)
        return total


def label_loss(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the binary cross-entropy over all classes and points, and the share of atoms' points named right."""
    wanted = functional.one_hot(labels, CLASSES).movedim(-1, 1).float()
    inside = labels > 0
    right = ((logits[:, 1:].argmax(dim=1) + 1 == labels) & inside).sum() / inside.sum().clamp(min=1)
    return functional.binary_cross_entropy_with_logits(logits, wanted), right


class HoffmannUNetTask(BoxTask[HoffmannUNet]):
    """Label true densities, or those that a VAE decodes."""

    kind = "unet"

    def __init__(self, module: HoffmannUNet, parts: Parts, device: torch.device, vae: HoffmannVAE | None) -> None:
        super().__init__(module, parts, device)
        self.representation, self.nearest_only = module.config.representation, module.config.as_published_images
        self.vae = None if vae is None else vae.eval().requires_grad_(False)

    @classmethod
    def build(cls, settings: TrainSettings, dataset: Dataset, device: torch.device) -> HoffmannUNetTask:
        """Create the network, or take the one to start from."""
        options = network_options(settings)
        assert isinstance(options, HoffmannUNetOptions)
        module = starting_network(settings, dataset, device, "HoffmannUNet")
        if module is None:
            module = HoffmannUNet(network_config(HoffmannUNetConfig, options, elements=known_elements(dataset)))
        vae = None if settings.vae is None else of_system(settings.vae, "vae", HoffmannVAE, device)
        if vae is not None and vae.config.representation != module.config.representation:
            raise StageError(
                "input_incompatible",
                f"{settings.vae}: its box shows {vae.config.representation}, that of the U-Net "
                f"{module.config.representation}; give the same `options.representation`",
            )
        parts = parts_of(dataset, lambda crystals: refusals(crystals, module.config.representation), device)
        return cls(module.to(device), parts, device, vae)

    def judged(
        self, module: HoffmannUNet, density: Tensor, labels: Tensor, generator: torch.Generator | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of the labels."""
        if self.vae is not None:
            with torch.no_grad():
                mean, log_variance = self.vae.encode_fields(density, density, density)
                if generator is not None:
                    draw = torch.randn(mean.shape, generator=generator, device=self.device)
                    mean = mean + draw * (0.5 * log_variance).exp()
                density = self.vae.decode_fields(mean).occupancy
        loss, right = label_loss(module(density), labels)
        return loss, {"voxel_accuracy": right}


class HoffmannVAETask(BoxTask[HoffmannVAE]):
    """Encode and decode densities so that the U-Net still knows them."""

    kind = "vae"

    def __init__(
        self, module: HoffmannVAE, unet: HoffmannUNet, options: HoffmannVAEOptions, parts: Parts, device: torch.device
    ) -> None:
        super().__init__(module, parts, device)
        self.representation, self.nearest_only = module.config.representation, module.config.as_published_images
        self.unet = unet.eval().requires_grad_(False)
        self.labels_weight = options.loss_labels + (1.0 if options.as_published_twice else 0.0)

    @classmethod
    def build(cls, settings: TrainSettings, dataset: Dataset, device: torch.device) -> HoffmannVAETask:
        """Create the VAE, or take the one to start from; the box is that of the U-Net that judges it."""
        if settings.unet is None:
            raise StageError("settings_rejected", "network `vae` needs `unet`, the model file of a trained U-Net")
        unet = of_system(settings.unet, "unet", HoffmannUNet, device)
        options = network_options(settings)
        assert isinstance(options, HoffmannVAEOptions)
        box = {"representation": unet.config.representation, "as_published_images": unet.config.as_published_images}
        module = starting_network(settings, dataset, device, "HoffmannVAE")
        if module is None:
            module = HoffmannVAE(network_config(HoffmannVAEConfig, options, elements=unet.config.elements, **box))
        parts = parts_of(dataset, lambda crystals: refusals(crystals, unet.config.representation), device)
        return cls(module.to(device), unet, options, parts, device)

    def judged(
        self, module: HoffmannVAE, density: Tensor, labels: Tensor, generator: torch.Generator | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return squared error, KL divergence and loss of the labels, each a mean, weighted."""
        mean, log_variance = module.encode_fields(density, density, density)
        latent = mean
        if generator is not None:
            draw = torch.randn(mean.shape, generator=generator, device=self.device)
            latent = mean + draw * (0.5 * log_variance).exp()
        decoded = module.decode_fields(latent).occupancy
        label, right = label_loss(self.unet(decoded), labels)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        terms = {
            "field_loss": (decoded - density).square().mean(),
            "kl_loss": module.config.loss_kl * divergence,
            "label_loss": self.labels_weight * label,
        }
        return torch.stack(list(terms.values())).sum(), {**terms, "voxel_accuracy": right}


def of_system(path: str, network: str, kind: type[Any], device: torch.device) -> Any:
    """Return a network of this system.

    :raises StageError: it is one of another system.
    """
    module: nn.Module = load_network(path, network, device)
    if not isinstance(module, kind):
        raise StageError(
            "input_incompatible",
            f"{path}: a {network} of another system ({type(module).__name__}); train one with "
            f"`--preset hoffmann-2019 --network {network}`",
        )
    return module
