"""Model files of earlier releases, written here as they wrote them, are read as if this release had written them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from icsg3d_models.networks.layers.flow import ConditionedMLP
from icsg3d_models.networks.local_prior import LocalPrior, LocalPriorConfig
from icsg3d_models.networks.model_file import (
    ModelFileError,
    ModelHeader,
    load_weights,
    read_header,
    save_model,
    stored_header,
)
from icsg3d_models.networks.prior import Prior
from icsg3d_models.networks.registry import load_network
from icsg3d_models.networks.vae import VAE, VAEConfig

CPU = torch.device("cpu")
ELEMENTS = [8, 22, 82]


def write_former(path: Path, network: str, config: dict[str, Any], weights: dict[str, torch.Tensor]) -> None:
    """Write a model file as the first release did: no class in the header, no list of conditions."""
    metadata = {"format": "icsg3d-model", "format_version": "1", "network": network, "config": json.dumps(config)}
    save_file({k: v.contiguous() for k, v in weights.items()}, path, metadata={**metadata, "card": "{}"})


def prior_of_two_targets(path: Path) -> ConditionedMLP:
    """Write a former prior with two targets, and return the network that is in it."""
    torch.manual_seed(0)
    network = ConditionedMLP(2, len(ELEMENTS) + 1 + 2 * 2, 16, 1).eval()
    config = {
        "elements": ELEMENTS, "latent_mean": [1.0, 2.0], "latent_std": [0.5, 3.0], "targets": ["a", "b"],
        "target_mean": [0.0, 1.0], "target_std": [1.0, 2.0], "vae_sha256": "f" * 64, "valid_compositions": False,
        "examples": 2, "example_elements": 1, "width": 16, "depth": 1,
    }  # fmt: skip
    kept = {"kept_elements": torch.tensor([8, 22], dtype=torch.uint8), "kept_targets": torch.tensor([0.1, 1e4, 2, 3])}
    write_former(path, "prior", config, {**network.state_dict(), **kept})
    return network


def test_a_former_prior_follows_its_targets_as_it_did(tmp_path: Path) -> None:
    """Formerly all values of targets stood before all their flags; now every value has its flag behind it."""
    path = tmp_path / "prior.safetensors"
    network = prior_of_two_targets(path)
    header = read_header(path, "prior")
    assert header.class_name == "Prior"
    assert header.config["conditions"] == [
        {"name": "elements", "width": 3}, {"name": "target a", "width": 1}, {"name": "target b", "width": 1},
    ]  # fmt: skip
    prior = load_network(path, "prior", CPU)
    assert isinstance(prior, Prior)
    z, t = torch.randn(4, 2), torch.rand(4)
    for allowed, a, b in (((8, 82), 0.3, None), (None, None, -2.0), ((22,), 1.0, 5.0), (None, None, None)):
        shown = {"elements": allowed, "target a": a, "target b": b}
        now = torch.from_numpy(prior.conditions.vector({k: v for k, v in shown.items() if v is not None}))[None]
        elements = [float(allowed is not None and z in allowed) for z in ELEMENTS]
        values = [0.0 if a is None else a, 0.0 if b is None else (b - 1.0) / 2.0]
        flags = [float(a is not None), float(b is not None)]
        former = torch.tensor([[*elements, float(allowed is not None), *values, *flags]])
        with torch.no_grad():
            torch.testing.assert_close(prior(z, t, now.expand(4, -1)), network.velocity(z, t, former.expand(4, -1)))
    assert prior.kept_elements.tolist() == [8, 22]


def test_a_former_prior_for_any_shape_has_five_conditions_and_its_targets(tmp_path: Path) -> None:
    path, config = tmp_path / "prior.safetensors", {
        "elements": ELEMENTS, "spacing": 0.4, "latent_mean": [0.0] * 2, "latent_std": [1.0] * 2, "width": 8, "depth": 1,
        "lattice_mean": [1.0] * 6, "lattice_std": [0.1] * 6, "targets": ["a"], "target_mean": [0.0],
        "target_std": [1.0], "patterns": [], "vae_sha256": "", "lattice_width": 8, "lattice_depth": 1,
    }  # fmt: skip
    blocks = [("elements", 3), ("composition", 19), ("anonymous_formula", 8), ("n_atoms", 8), ("crystal_system", 7)]
    conditions = [{"name": name, "width": width} for name, width in [*blocks, ("target a", 1)]]
    torch.manual_seed(0)
    module = LocalPrior(LocalPriorConfig(**config, conditions=conditions, told_operations=False))
    write_former(path, "prior", config, module.state_dict())
    assert read_header(path).class_name == "LocalPrior"
    prior = load_network(path, "prior", CPU)
    assert list(prior.conditions.blocks) == [block["name"] for block in conditions]
    for name, value in module.state_dict().items():
        assert torch.equal(prior.state_dict()[name], value)


def test_a_former_vae_does_not_know_the_spread_of_its_latents(tmp_path: Path) -> None:
    path = tmp_path / "vae.safetensors"
    config = VAEConfig(elements=ELEMENTS, lattice_mean=[1.4] * 6, lattice_std=[0.1] * 6, latent=4, width=8)
    weights = VAE(config).state_dict()
    weights.pop("latent_std")
    write_former(path, "vae", config.model_dump(), weights)
    vae = load_network(path, "vae", CPU)
    assert isinstance(vae, VAE)
    assert vae.latent_std.isnan().all()
    assert stored_header(path).class_name == ""


def test_a_file_names_its_class_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    prior_of_two_targets(tmp_path / "former.safetensors")
    header, weights = (f(tmp_path / "former.safetensors") for f in (read_header, load_weights))
    save_model(tmp_path / "now.safetensors", header, weights)
    assert stored_header(tmp_path / "now.safetensors") == header
    again = load_network(tmp_path / "now.safetensors", "prior", CPU).state_dict()
    assert all(torch.equal(again[name], value) for name, value in weights.items())
    newer = ModelHeader("prior", header.config, {}, "DiffusionPrior")
    save_model(tmp_path / "newer.safetensors", newer, weights)
    with pytest.raises(ModelFileError, match="a prior of the class DiffusionPrior, which this release does not have"):
        read_header(tmp_path / "newer.safetensors")
    config = {**header.config, "conditions": [{"name": "colour", "width": 3}]}
    save_model(tmp_path / "coloured.safetensors", ModelHeader("prior", config, {}, "Prior"), weights)
    with pytest.raises(ModelFileError, match=r"colour: no condition.*upgrade aiida-icsg3d"):
        load_network(tmp_path / "coloured.safetensors", "prior", CPU)
