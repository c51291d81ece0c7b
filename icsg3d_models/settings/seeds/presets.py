"""What each system of a seed paper sets, by stage; a training by its network."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, model_validator

from ..base import StageSettings

PresetName = Literal["icsg3d-2020", "hoffmann-2019", "voxelnet"]

_KERAS_ADAM = {"schedule": "constant", "beta2": 0.999, "weight_decay": 0.0, "ema": 0.0, "gradient_clip": 1e9}

_SGD = {"algorithm": "sgd", "schedule": "constant", "momentum": 0.5, "learning_rate": 1e-7, "weight_decay": 0.0,
        "ema": 0.0, "gradient_clip": 1e9, "batch_size": 18, "max_epochs": 100}  # fmt: skip

TRAININGS: dict[str, dict[str, dict[str, Any]]] = {
    "icsg3d-2020": {
        "unet": {"optimiser": {**_KERAS_ADAM, "learning_rate": 3e-6, "batch_size": 10, "max_epochs": 50}},
        "vae": {"optimiser": {**_KERAS_ADAM, "learning_rate": 5e-4, "batch_size": 20, "max_epochs": 50}},
        "cgcnn": {"optimiser": {**_KERAS_ADAM, "learning_rate": 1e-3, "batch_size": 32, "max_epochs": 60}},
    },
    "hoffmann-2019": {"unet": {"optimiser": _SGD}, "vae": {"optimiser": _SGD}},
    "voxelnet": {
        "voxelnet": {
            "optimiser": {**_KERAS_ADAM, "learning_rate": 1e-3, "batch_size": 32, "max_epochs": 100},
            "options": {
                "channels": "elements",
                "grid": "cartesian",
                "size": 32,
                "length": 10.0,
                "sigma": 0.1,
                "width": 16,
                "hidden": [1024, 32, 8],
                "orientations": 1,
                "whole_grid": True,
                "loss": "squared",
            },
        },
    },
}
"""System -> network -> settings of the stage ``train``."""

STAGES: dict[str, dict[str, dict[str, Any]]] = {
    "icsg3d-2020": {
        "sample": {"prior": None, "n_samples": 100, "batch_size": 50},
        "segment": {"threshold": 0.8},
        "screen": {"require": ["structure", "charge_balance"]},
    },
    "hoffmann-2019": {"sample": {"prior": None, "batch_size": 50}, "segment": {"threshold": 0.5, "batch_size": 8}},
    "voxelnet": {},
}
"""System -> stage -> settings."""

INTERPOLATED = 8  # samples on the line between two crystals, both ends among them


def below(values: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return settings with those given above the others, group by group."""
    found = {**values, **given}
    for name, value in given.items():
        inner = value.model_dump(exclude_unset=True) if isinstance(value, BaseModel) else value
        if isinstance(values.get(name), dict) and isinstance(inner, dict):
            found[name] = below(values[name], inner)
    return found


class PresetSettings(StageSettings):
    """Settings of a stage that a system of a seed paper goes through.

    :cvar stage: the subcommand.
    """

    stage: ClassVar[str]

    preset: PresetName | None = None
    """The system of a seed paper: its networks and settings as published (docs/seeds.md); what is given beside it
    stands above."""

    @model_validator(mode="before")
    @classmethod
    def _preset_below(cls, data: Any) -> Any:
        return with_preset(cls.stage, data) if isinstance(data, dict) else data


def with_preset(stage: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return settings of a stage with those that their preset names below them.

    :raises ValueError: the system has no such network.
    """
    preset = given.get("preset")
    if preset not in TRAININGS:  # none, or one that the type refuses
        return given
    return below(values_of(stage, str(preset), given), given)


def values_of(stage: str, preset: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return what a system sets for a stage.

    :param given: what else is given: the network that is trained, the mode of sampling.
    :raises ValueError: the system has no such network.
    """
    values = dict(STAGES[preset].get(stage, {}))
    if stage == "train":
        networks = TRAININGS[preset]
        if len(networks) == 1:
            values["network"] = next(iter(networks))
        network = given.get("network", values.get("network"))
        if network is not None and network not in networks:
            raise ValueError(f"{preset} has no {network}; it has {', '.join(networks)}")
        values.update(networks[network] if network else {})
    if stage == "sample" and given.get("mode") == "interpolate":
        values["n_samples"] = INTERPOLATED
    return values
