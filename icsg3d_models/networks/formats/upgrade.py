"""Model files of earlier releases, as this one writes them.

Their headers name no class, their priors no conditions and no operations, their CGCNNs expect no errors. Needs no
torch, apart from what it does to weights.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ...conditions import Known
from ...conditions.space import blocks_of
from ...conditions.target import target_name

if TYPE_CHECKING:
    import torch

# What every prior of a local VAE was told of, in the order of its inputs, before model files said so.
FORMER_CONDITIONS = ("elements", "composition", "anonymous_formula", "n_atoms", "crystal_system")
ANY_SHAPE = {"vae": "LocalVAE", "prior": "LocalPrior"}
OTHERS = {"unet": "UNet", "vae": "VAE", "prior": "Prior", "cgcnn": "CGCNN", "voxelnet": "VoxelNet"}
TIME_FEATURES = 32  # inputs of the conditioned network before those of the conditions


def former_class(network: str, config: dict[str, Any]) -> str:
    """Return the class that a header without one means; empty where the network is unknown."""
    any_shape = "spacing" in config and network in ANY_SHAPE
    return ANY_SHAPE[network] if any_shape else OTHERS.get(network, "")


def upgraded_config(class_name: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration with all that this release wants to know."""
    if class_name == "CGCNN":
        return {"error_head": False, **config}
    if class_name == "LocalPrior":
        config = {"told_operations": False, **config}
    if class_name not in ("Prior", "LocalPrior") or "conditions" in config or not config.get("elements"):
        return config  # what lacks its elements is refused where the network is built
    names = [*(FORMER_CONDITIONS if class_name == "LocalPrior" else ("elements",))]
    names += [target_name(name) for name in config.get("targets", [])]
    blocks = blocks_of(names, Known(config["elements"]))
    return {**config, "conditions": [block.model_dump() for block in blocks]}


def upgraded_weights(
    class_name: str, config: dict[str, Any], weights: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Return the weights under the names and in the order that this release has; the values stay as they are.

    :param config: as in the file or upgraded.
    """
    import torch

    if class_name == "VAE" and "latent_std" not in weights:
        return weights | {"latent_std": torch.full((config.get("latent", 128),), math.nan)}
    if class_name == "Prior" and "enter.weight" in weights:
        moved = {name if name.startswith("kept_") else f"flow.{name}": value for name, value in weights.items()}
        # All values of targets stood before all their flags; now every value has its flag behind it.
        first = TIME_FEATURES + len(config["elements"]) + 1
        count = len(config.get("targets", []))
        order = list(range(first)) + [first + part * count + i for i in range(count) for part in range(2)]
        moved["flow.condition.0.weight"] = moved["flow.condition.0.weight"][:, order].contiguous()
        return moved
    return weights
