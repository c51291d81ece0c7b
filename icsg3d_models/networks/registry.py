"""Networks from model files: the header names the class."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import torch
from pydantic import ValidationError
from torch import nn

from .classes import CLASSES
from .model_file import ModelFileError, load_weights, read_header

if TYPE_CHECKING:
    from .cgcnn import CGCNN
    from .generator import Autoencoder, LatentPrior
    from .unet import UNet
    from .voxelnet import VoxelNet


def class_of(name: str) -> tuple[Any, Any]:
    """Return a class of networks and that of its configuration."""
    module = import_module(f".{CLASSES[name].module}", __package__)
    return getattr(module, name), getattr(module, f"{name}Config")


@overload
def load_network(path: str | Path, network: Literal["unet"], device: torch.device) -> UNet: ...
@overload
def load_network(path: str | Path, network: Literal["vae"], device: torch.device) -> Autoencoder: ...
@overload
def load_network(path: str | Path, network: Literal["prior"], device: torch.device) -> LatentPrior: ...
@overload
def load_network(path: str | Path, network: Literal["cgcnn"], device: torch.device) -> CGCNN: ...
@overload
def load_network(path: str | Path, network: Literal["voxelnet"], device: torch.device) -> VoxelNet: ...
@overload
def load_network(path: str | Path, network: str, device: torch.device) -> nn.Module: ...
def load_network(path: str | Path, network: str, device: torch.device) -> nn.Module:
    """Rebuild a network from its model file, in evaluation mode on the device.

    :raises ModelFileError: see :func:`icsg3d_models.networks.model_file.read_header`; or weights that do not fit the
        configuration, or conditions that this release does not have.
    """
    header = read_header(path, network)
    network_class, config_class = class_of(header.class_name)
    try:
        module: nn.Module = network_class(config_class(**header.config))
        module.load_state_dict(load_weights(path))
    except (ValidationError, RuntimeError) as exception:
        reason = str(exception).splitlines()[0]
        raise ModelFileError(f"{path}: weights and configuration disagree ({reason}); train it again") from exception
    except ValueError as exception:
        raise ModelFileError(f"{path}: {exception}; upgrade aiida-icsg3d, or train it again") from exception
    return module.to(device).eval()
