"""Training of the VAE, with the U-Net as the judge of what matters in a field.

Loss: squared error of the fields, squared error of the U-Net's activations (the deep-feature-consistency loss
of Hou et al., arXiv:1610.00291, as in ICSG3D), cross-entropy of the species that the U-Net reads from the decoded
field at the true sites, squared error of the lattice, and beta times the KL divergence to N(0, 1).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...crystals.lattice import lattice_to_vector
from ...data.datasets import Dataset
from ...fields.batches import CrystalBatch
from ...fields.grids import Grid, half
from ...fields.occupancy import occupancy_field, species_field
from ...networks.generator import Autoencoder
from ...networks.local_vae import LocalVAE, LocalVAEConfig
from ...networks.registry import load_network
from ...networks.unet import UNet
from ...networks.vae import VAE, VAEConfig
from ...results import StageError
from ...settings import TrainSettings
from ...settings.network_options import VAELoss
from ..augmentation import substitute_elements, varied
from ..field_data import GridBatches, class_table
from ..network_config import network_config, network_options
from ..start import starting_network
from .field_task import FieldTask


def check_same_fields(module: Autoencoder, unet: UNet, path: str) -> None:
    """Check that a VAE to start from has the fields and elements of the U-Net that is to judge it.

    :raises StageError: it was trained upon another one.
    """
    own, other = module.config.model_dump(), unet.config.model_dump()
    shared = ("elements", "species_channels", "grid", "spacing")
    if differing := [name for name in shared if name in own and own[name] != other[name]]:
        raise StageError(
            "input_incompatible",
            f"{path}: the U-Net has other {', '.join(differing)} than the VAE to start from; give the U-Net that the "
            "VAE was trained upon, or one that was fine-tuned from it",
        )


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return KL(N(mean, exp(log_variance)) || N(0, 1)) summed over the latent, (B,)."""
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1)


class VAETask(FieldTask[Autoencoder]):
    """Encode and decode the fields of crystals in the setting in which the dataset holds them."""

    kind = "vae"
    compiled = ("encode_fields", "decode_fields")

    def __init__(
        self,
        module: Autoencoder,
        unet: UNet,
        weights: VAELoss,
        data: GridBatches,
        device: torch.device,
    ) -> None:
        self.module, self.weights, self.data, self.device = module, weights, data, device
        self.unet = unet.eval().requires_grad_(False)
        self.config = module.config.model_dump()
        self.n_train = len(data.parts["train"])
        self.classes = class_table(unet.config.elements, device)

    @classmethod
    def build(cls, settings: TrainSettings, dataset: Dataset, device: torch.device) -> VAETask:
        """Create the VAE, or take the one to start from; it shares grid and elements with the U-Net that judges it."""
        if settings.unet is None:
            raise StageError("settings_rejected", "network `vae` needs `unet`, the model file of a trained U-Net")
        unet = load_network(settings.unet, "unet", device)
        if not isinstance(unet, UNet):
            raise StageError(
                "input_incompatible",
                f"{settings.unet}: the U-Net of a seed paper's system ({type(unet).__name__}); give its `preset`",
            )
        present = set(np.unique(dataset.crystals.take(dataset.part("train")).numbers).tolist())
        missing = sorted(present - set(unet.config.elements))
        if missing:
            raise StageError(
                "input_incompatible",
                f"{settings.unet}: the U-Net does not know the elements Z = {missing}; train it on this dataset",
            )
        data = GridBatches(dataset, unet.config.grid, unet.config.spacing, device)
        options = network_options(settings, local=unet.config.spacing is not None)
        assert isinstance(options, VAELoss)
        shared = {"elements": unet.config.elements, "species_channels": unet.config.species_channels}
        start = starting_network(settings, dataset, device, "VAE" if unet.config.spacing is None else "LocalVAE")
        module: Autoencoder
        if start is not None:
            module = start
            check_same_fields(module, unet, settings.unet)
        elif unet.config.spacing is not None:
            module = LocalVAE(network_config(LocalVAEConfig, options, **shared, spacing=unet.config.spacing))
        else:
            vectors = lattice_to_vector(data.parts["train"].cell)
            # Components that never vary (shear in a cubic set) get a floor, so that they are not blown up to noise.
            std = vectors.std(dim=0, unbiased=False).clamp(min=0.02)
            lattice = {
                "lattice_mean": [round(float(x), 6) for x in vectors.mean(dim=0)],
                "lattice_std": [round(float(x), 6) for x in std],
            }
            module = VAE(network_config(VAEConfig, options, **shared, grid=unet.config.grid, **lattice))
        if options.keep_latents:
            module.freeze_encoder()
        return cls(module.to(device), unet, options, data, device)

    def loss(
        self, indices: np.ndarray, generator: torch.Generator, step_fraction: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of one batch, with elements exchanged and the KL weight warmed up."""
        batch, grid = self.data.take("train", indices)
        numbers = substitute_elements(
            batch.numbers, self.module.config.elements, self.weights.loss_substitution, generator
        )
        beta = self.weights.loss_kl * min(1.0, 4 * step_fraction)
        batch = CrystalBatch(batch.cell, batch.frac, numbers)
        if self.data.spacing is not None:
            known, spacing = self.module.config.elements, self.data.spacing
            batch, grid = varied(batch, known, spacing, self.weights.loss_rattle, generator)
        return self._loss(self.module, batch, grid, beta, generator)

    def _loss(
        self,
        module: Autoencoder,
        batch: CrystalBatch,
        grid: Grid,
        beta: float,
        generator: torch.Generator | None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss; without a generator the latent is its mean and sites are read without jitter."""
        weights = self.weights
        occupancy, species = occupancy_field(batch, grid), species_field(batch, half(grid))
        mean, log_variance = module.encode_fields(occupancy, species, batch.cell)
        latent, frac = mean, batch.frac
        if generator is not None:
            draw = torch.randn(mean.shape, generator=generator, device=self.device)
            latent = mean + draw * (0.5 * log_variance).exp()
            jitter = 0.06 * torch.randn(frac.shape, generator=generator, device=self.device)
            frac = frac + jitter @ torch.linalg.inv(batch.cell)
        occupancy_out, species_out, lattice_out = module.decode_fields(latent, batch.cell)
        features = self.unet.features(occupancy_out, species_out)
        with torch.no_grad():
            wanted = self.unet.features(occupancy, species)
        feature = torch.stack([((f - w) ** 2).mean() / w.var() for f, w in zip(features, wanted, strict=True)]).mean()
        logits = self.unet.species_logits(features, species_out, frac)
        classes = torch.where(batch.mask, self.classes[batch.numbers], -1)
        species_loss = functional.cross_entropy(
            logits.flatten(0, 1), classes.flatten(), ignore_index=-1, reduction="sum"
        )
        size = len(batch)
        terms = {
            "occupancy_loss": weights.loss_occupancy * ((occupancy_out - occupancy) ** 2).sum() / size,
            "species_field_loss": weights.loss_species_field * ((species_out - species) ** 2).sum() / size,
            "feature_loss": weights.loss_feature * feature,
            "species_loss": weights.loss_species * species_loss / size,
            "kl_loss": beta * kl_divergence(mean.flatten(1), log_variance.flatten(1)).mean(),
        }
        lattice = module.standardised(batch.cell)
        if lattice is not None and lattice_out is not None:
            terms["lattice_loss"] = weights.loss_lattice * ((lattice_out - lattice) ** 2).sum() / size
        right = ((logits.argmax(-1) == classes) | ~batch.mask).all(dim=1).float().mean()
        return torch.stack(list(terms.values())).sum(), {**terms, "composition_accuracy": right}

    def evaluate(self, module: Autoencoder, part: str) -> dict[str, float]:
        """Return the mean loss terms over one part, decoded from the mean of the latent."""
        data = self.data.parts[part]
        total: dict[str, float] = {}
        with torch.no_grad():
            for rows in self.data.rows(part, 256):
                loss, metrics = self._loss(module, *self.data.take(part, rows), self.weights.loss_kl, None)
                for name, value in {"loss": loss, **metrics}.items():
                    total[name] = total.get(name, 0.0) + float(value) * len(rows) / len(data)
        return total
