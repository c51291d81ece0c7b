"""Networks from model files."""

from __future__ import annotations

from pathlib import Path

import torch
from pydantic import ValidationError
from torch import nn

from .model_file import ModelFileError, load_weights, read_header


def load_network(path: str | Path, network: str, device: torch.device) -> nn.Module:
    """Rebuild a network from its model file, in evaluation mode on the device.

    :raises ModelFileError: see :func:`icsg3d_models.networks.model_file.read_header`; or weights that do not fit the
        configuration.
    """
    header = read_header(path, network)
    if network == "unet":
        from .unet import UNet as Network
        from .unet import UNetConfig as Config
    elif network == "vae" and "spacing" in header.config:
        from .local_vae import LocalVAE as Network  # type: ignore[assignment]
        from .local_vae import LocalVAEConfig as Config  # type: ignore[assignment]
    elif network == "vae":
        from .vae import VAE as Network  # type: ignore[assignment]
        from .vae import VAEConfig as Config  # type: ignore[assignment]
    elif network == "prior" and "spacing" in header.config:
        from .local_prior import LocalPrior as Network  # type: ignore[assignment]
        from .local_prior import LocalPriorConfig as Config  # type: ignore[assignment]
    elif network == "prior":
        from .prior import Prior as Network  # type: ignore[assignment]
        from .prior import PriorConfig as Config  # type: ignore[assignment]
    elif network == "voxelnet":
        from .voxelnet import VoxelNet as Network  # type: ignore[assignment]
        from .voxelnet import VoxelNetConfig as Config  # type: ignore[assignment]
    else:
        from .cgcnn import CGCNN as Network  # type: ignore[assignment]
        from .cgcnn import CGCNNConfig as Config  # type: ignore[assignment]
    try:
        module = Network(Config(**header.config))
        module.load_state_dict(load_weights(path))
    except (ValidationError, RuntimeError) as exception:
        reason = str(exception).splitlines()[0]
        raise ModelFileError(f"{path}: weights and configuration disagree ({reason}); train it again") from exception
    return module.to(device).eval()
