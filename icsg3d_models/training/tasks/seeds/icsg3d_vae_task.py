"""Training of the conditional VAE of ICSG3D, with its U-Net as the judge of what matters in a field.

Loss: squared error of the four channels, alpha times that of the U-Net's activations at ReLUs 2, 4, 6 and 8 (each a
mean), and beta times the KL divergence to N(0, 1), summed over the latent.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ....data.datasets import Dataset
from ....fields.batches import CrystalBatch
from ....fields.seeds.icsg3d_box import quarter_turns, refusals
from ....networks.registry import load_network
from ....networks.seeds.icsg3d_unet import ICSG3DUNet
from ....networks.seeds.icsg3d_vae import ICSG3DVAE, ICSG3DVAEConfig
from ....results import StageError
from ....settings import TrainSettings
from ....settings.seeds.options import ICSG3DVAEOptions
from ...network_config import network_config, network_options
from ...start import starting_network
from ...task import Task
from ..vae_task import kl_divergence
from .box_parts import Parts, parts_of

AT_ONCE = 32  # crystals that are validated together


class ICSG3DVAETask(Task[ICSG3DVAE]):
    """Encode and decode the box, told the quantile of the target."""

    kind = "vae"

    def __init__(self, module: ICSG3DVAE, unet: ICSG3DUNet, parts: Parts, device: torch.device) -> None:
        self.module, self.parts, self.device = module, parts.batches, device
        self.unet = unet.eval().requires_grad_(False)
        self.config = module.config.model_dump()
        self.n_train, self.places, self.left_out = len(parts.places), parts.places, parts.left_out

    @classmethod
    def build(cls, settings: TrainSettings, dataset: Dataset, device: torch.device) -> ICSG3DVAETask:
        """Create the VAE, or take the one to start from; box and elements are those of the U-Net that judges it."""
        if settings.unet is None:
            raise StageError("settings_rejected", "network `vae` needs `unet`, the model file of a trained U-Net")
        unet = load_network(settings.unet, "unet", device)
        if not isinstance(unet, ICSG3DUNet):
            raise StageError(
                "input_incompatible",
                f"{settings.unet}: a U-Net of another system ({type(unet).__name__}); train one with "
                "`--preset icsg3d-2020 --network unet`",
            )
        options = network_options(settings)
        assert isinstance(options, ICSG3DVAEOptions)
        parts = parts_of(dataset, refusals, device, options.target)
        module = starting_network(settings, dataset, device, "ICSG3DVAE")
        if module is None:
            values = dataset.values(options.target)[parts.places]
            module = ICSG3DVAE(
                network_config(
                    ICSG3DVAEConfig, options, elements=unet.config.elements, grid=unet.config.grid,
                    radii=unet.config.radii, sigma_fraction=unet.config.sigma_fraction,
                    edges=np.quantile(values, np.arange(1, options.bins) / options.bins).tolist(),
                )
            ).to(device)  # fmt: skip
        return cls(module, unet, parts, device)

    def loss(
        self, indices: np.ndarray, generator: torch.Generator, step_fraction: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of one batch, turned by quarters."""
        return self._loss(self.module, self.parts["train"].take(indices), generator)

    def _loss(
        self, module: ICSG3DVAE, batch: CrystalBatch, generator: torch.Generator | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss; without a generator of crystals as they are, decoded from the mean of the latent."""
        assert batch.told is not None
        channels, quantile = module.channels(batch), module.quantile(batch.told)
        if generator is not None:
            channels = quarter_turns(channels, generator)
        mean, log_variance = module.encode_channels(channels, quantile)
        latent = mean
        if generator is not None:
            draw = torch.randn(mean.shape, generator=generator, device=self.device)
            latent = mean + draw * (0.5 * log_variance).exp()
        decoded = module.decode_channels(torch.cat([latent, quantile], dim=1))
        with torch.no_grad():
            wanted = self.unet.features(channels)
        pairs = zip(self.unet.features(decoded), wanted, strict=True)
        feature = torch.stack([(found - true).square().mean() for found, true in pairs]).sum()
        terms = {
            "field_loss": (decoded - channels).square().mean(),
            "feature_loss": module.config.loss_feature * feature,
            "kl_loss": module.config.loss_kl * kl_divergence(mean, log_variance).mean(),
        }
        return torch.stack(list(terms.values())).sum(), terms

    def validate(self, module: ICSG3DVAE) -> dict[str, float]:
        """Return the metrics of the validation part (of the training part where that is empty)."""
        return self._evaluate(module, "validation" if len(self.parts["validation"]) else "train")

    def test(self, module: ICSG3DVAE) -> dict[str, float]:
        """Return the metrics of the test part."""
        return self._evaluate(module, "test") if len(self.parts["test"]) else {}

    def _evaluate(self, module: ICSG3DVAE, part: str) -> dict[str, float]:
        data = self.parts[part]
        total: dict[str, float] = {}
        module.eval()
        with torch.no_grad():
            for rows in torch.arange(len(data), device=self.device).split(AT_ONCE):
                loss, metrics = self._loss(module, data.take(rows), None)
                for name, value in {"loss": loss, **metrics}.items():
                    total[name] = total.get(name, 0.0) + float(value) * len(rows) / len(data)
        return total
