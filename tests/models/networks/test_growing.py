"""A model that learns more elements and conditions does what it did before, and has something to say of the new."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import icsg3d_models
from icsg3d_models.conditions import CONDITIONS, completed
from icsg3d_models.conditions.space import blocks_of
from icsg3d_models.crystals.elements import NUMBER
from icsg3d_models.networks.generator import known_of
from icsg3d_models.networks.growing import grown, nearest_known
from icsg3d_models.networks.local_prior import LocalPrior
from icsg3d_models.networks.model_file import ModelFileError, load_weights, read_header
from icsg3d_models.networks.registry import class_of, load_network

MODELS = Path(icsg3d_models.__file__).parent / "pretrained" / "general"
CPU = torch.device("cpu")
HEAT = "formation_energy_per_atom"


def larger(network: str, new: list[str], conditions: dict[str, Any] | None = None) -> Any:
    """Return a shipped model of `general` that knows these elements too."""
    path = MODELS / f"{network}.safetensors"
    header = read_header(path, network)
    header, weights = grown(header, load_weights(path), [NUMBER[symbol] for symbol in new], conditions)
    network_class, config = class_of(header.class_name)
    module = network_class(config(**header.config))
    module.load_state_dict(weights)
    return module.eval()


def test_a_new_element_is_like_its_neighbour_in_the_table() -> None:
    known = [NUMBER[symbol] for symbol in ("O", "Nd", "Eu", "Cl", "Li")]
    places = nearest_known([NUMBER[symbol] for symbol in ("Pm", "Cl", "Na", "S")], known)
    assert places[0] in (1, 2)
    assert places[1] == 3
    assert places[2] == 4
    assert places[3] == 0


def test_a_unet_names_old_elements_as_before_and_new_ones_like_their_neighbours() -> None:
    old, new = load_network(MODELS / "unet.safetensors", "unet", CPU), larger("unet", ["Pm", "Sm"])
    occupancy, species, frac = torch.rand(2, 1, 8, 8, 12), torch.randn(2, 16, 4, 4, 6), torch.rand(2, 5, 3)
    with torch.no_grad():
        before = old.species_logits(old.features(occupancy, species), species, frac)
        after = new.species_logits(new.features(occupancy, species), species, frac)
    elements = new.config.elements
    same = [elements.index(z) for z in old.config.elements]
    torch.testing.assert_close(after[..., same], before)
    promethium, neodymium = elements.index(NUMBER["Pm"]), old.config.elements.index(NUMBER["Nd"])
    torch.testing.assert_close(after[..., promethium], before[..., neodymium])


def test_a_prior_with_more_elements_and_conditions_follows_the_same_velocity() -> None:
    path = MODELS / "prior.safetensors"
    old = load_network(path, "prior", CPU)
    assert isinstance(old, LocalPrior)
    every = sorted({*old.config.elements, NUMBER["H"], NUMBER["Sm"]})
    known = known_of(every, [HEAT], [-1.0], [2.0])
    names = [condition.name for condition in CONDITIONS]
    blocks = blocks_of([*names, f"target {HEAT}"], known)
    wanted = {"conditions": [block.model_dump() for block in blocks], "targets": [HEAT]}
    new = larger("prior", ["H", "Sm"], {**wanted, "target_mean": [-1.0], "target_std": [2.0]})
    assert "space_group" in new.conditions.blocks
    assert "space_group" not in old.conditions.blocks
    z, t, cell, x = torch.randn(3, 16, 3, 3, 4), torch.rand(3), 4 * torch.eye(3).expand(3, 3, 3), torch.randn(3, 6)
    for asked in ({}, {"composition": "PbTiO3"}, {"elements": ["C"], "n_atoms": 8, "crystal_system": "cubic"}):
        whole = completed(asked)
        before, after = (torch.from_numpy(np.tile(m.conditions.vector(whole), (3, 1))) for m in (old, new))
        with torch.no_grad():
            torch.testing.assert_close(new(z, t, cell, after), old(z, t, cell, before), rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(
                new.lattice_velocity(x, t, after), old.lattice_velocity(x, t, before), rtol=1e-4, atol=1e-4
            )


def test_a_prior_that_would_forget_a_condition_is_refused() -> None:
    header = read_header(MODELS / "prior.safetensors", "prior")
    weights = load_weights(MODELS / "prior.safetensors")
    fewer = {"conditions": header.config["conditions"][1:], "targets": [], "target_mean": [], "target_std": []}
    with pytest.raises(ModelFileError, match="told of elements"):
        grown(header, weights, header.config["elements"], fewer)
    new, _ = grown(header, weights, [1])  # nothing said: it keeps its own
    assert [b["name"] for b in new.config["conditions"]] == [b["name"] for b in header.config["conditions"]]


def test_a_property_model_cannot_grow() -> None:
    path = MODELS.parent / "perov5" / "cgcnn.safetensors"
    with pytest.raises(ModelFileError, match="CGCNN cannot be given more elements"):
        grown(read_header(path, "cgcnn"), load_weights(path), [1])
