"""The options of each network: known by its name, checked with the settings, and parts of the configuration."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from pydantic import BaseModel

from icsg3d_models.results import StageError
from icsg3d_models.settings import TrainSettings
from icsg3d_models.settings.network_options import (
    KINDS,
    CGCNNOptions,
    LocalPriorOptions,
    LocalVAEOptions,
    NetworkOptions,
    PriorOptions,
    UNetOptions,
    VAELoss,
    VAEOptions,
    VoxelNetOptions,
)
from icsg3d_models.training.network_config import network_config, network_options

CONFIGS: dict[str, type[NetworkOptions]] = {
    "unet:UNetConfig": UNetOptions, "vae:VAEConfig": VAEOptions, "local_vae:LocalVAEConfig": LocalVAEOptions,
    "prior:PriorConfig": PriorOptions, "local_prior:LocalPriorConfig": LocalPriorOptions,
    "cgcnn:CGCNNConfig": CGCNNOptions, "voxelnet:VoxelNetConfig": VoxelNetOptions,
}  # fmt: skip


def config_class(name: str) -> type[BaseModel]:
    module, _, kind = name.partition(":")
    found: type[BaseModel] = getattr(importlib.import_module(f"icsg3d_models.networks.{module}"), kind)
    return found


@pytest.mark.parametrize("name", CONFIGS)
def test_a_configuration_is_its_options_and_what_the_data_decide(name: str) -> None:
    config, options = config_class(name), CONFIGS[name]
    assert issubclass(config, options)
    assert set(config.model_fields) - set(options.model_fields) == set(options.derived)
    assert all(config.model_fields[key] is options.model_fields[key] or config.model_fields[key].default
               == options.model_fields[key].default for key in options.model_fields)  # fmt: skip


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (
            "cgcnn",
            {"widht": 3},
            r"widht: there is no such setting; did you mean width\?.*Accepted keys: members",
        ),
        ("cgcnn", {"elements": [1]}, "elements follow from the data; leave them out"),
        ("unet", {"width": 9}, "multiple of 8"),
        ("voxelnet", {"size": 9}, "multiple of 2"),
        ("voxelnet", {"hidden": [32, 0]}, "greater than or equal to 1"),
        ("vae", {"latent": 8, "channels": 4}, "vae: "),
        ("vae", {"grid": 16}, "grid follow from the data"),
        ("prior", {"lattice_width": 4}, "greater than or equal to 8"),
    ],
)
def test_wrong_options_are_refused_with_the_settings(network: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainSettings.model_validate({"network": network, "options": options})


def test_options_come_as_the_class_of_the_network_and_go_as_they_came() -> None:
    """A file of an earlier release holds them flat."""
    for network, kinds in KINDS.items():
        assert type(TrainSettings(network=network).options) is kinds[0]  # type: ignore[arg-type]
    given = {"network": "vae", "options": {"channels": 4, "loss_kl": 1e-4}}
    settings = TrainSettings.model_validate(given)
    assert isinstance(settings.options, LocalVAEOptions)
    assert isinstance(settings.options, VAELoss)
    assert settings.model_dump(mode="json", exclude_unset=True) == given
    assert TrainSettings.model_validate_json(settings.model_dump_json()) == settings
    assert "options" not in TrainSettings(network="vae").model_dump(exclude_unset=True)


def test_the_network_before_decides_which_kind_it_is() -> None:
    shared = TrainSettings.model_validate({"network": "vae", "options": {"width": 8, "loss_rattle": 0}})
    for local, kind in ((False, VAEOptions), (True, LocalVAEOptions)):
        options = network_options(shared, local)
        assert isinstance(options, kind)
        assert options.model_dump(exclude_unset=True) == {"width": 8, "loss_rattle": 0}
    other = TrainSettings.model_validate({"network": "vae", "options": {"channels": 4}})
    with pytest.raises(StageError, match=r"options: vae: channels: there is no such setting.*latent") as raised:
        network_options(other, local=False)
    assert raised.value.status == "settings_rejected"


def test_the_configuration_takes_its_options_and_no_weights_of_the_loss() -> None:
    options = network_options(TrainSettings.model_validate({"network": "vae", "options": {"width": 16}}), local=True)
    config = network_config(config_class("local_vae:LocalVAEConfig"), options, elements=[8], spacing=0.4)
    assert config.model_dump() == {
        "channels": 16, "width": 16, "encoder_blocks": 2, "decoder_blocks": 3, "elements": [8], "spacing": 0.4,
        "species_channels": 16,
    }  # fmt: skip
