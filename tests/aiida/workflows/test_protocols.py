"""Protocols: what they hold, how overrides are merged, and that a typo raises."""

from __future__ import annotations

import pytest

from aiida_icsg3d.workflows.protocols import describe_protocols, load_protocol, merge, read_protocols
from aiida_icsg3d.workflows.train import training_protocol

NAMES = ("train", "generate", "screen", "discover")


@pytest.mark.parametrize("name", NAMES)
def test_every_file_has_the_three_protocols(name: str) -> None:
    described = describe_protocols(name)
    assert list(described) == ["fast", "balanced", "stringent"]
    assert all(described.values())
    assert read_protocols(name)["default_protocol"] in described
    for protocol in described:
        assert "description" not in load_protocol(name, protocol)


def test_protocols_differ() -> None:
    samples = [load_protocol("generate", p)["sample"]["settings"]["n_samples"] for p in describe_protocols("generate")]
    assert samples == [64, 1000, 10000]


def test_overrides_are_merged() -> None:
    inputs = load_protocol(
        "train", "fast", {"max_iterations": 2, "vae": {"settings": {"optimiser": {"batch_size": 4}, "threads": 1}}}
    )
    assert inputs["max_iterations"] == 2
    given = load_protocol("train", "fast")
    optimiser = {**given["vae"]["settings"]["optimiser"], "batch_size": 4}
    assert inputs["vae"]["settings"] == {"optimiser": optimiser, "threads": 1}
    assert inputs["unet"] == given["unet"]
    assert load_protocol("train", "fast")["max_iterations"] == 10


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"max_iteration": 3}, "train.max_iteration: no such key; there are max_iterations"),
        ({"vae": {"setting": {}}}, "train.vae.setting: no such key; there are settings, options"),
        ({"vae": 5}, "train.vae: a mapping is needed there, received 5"),
        ({"max_iterations": {"value": 5}}, "train.max_iterations: a single value is needed"),
    ],
)
def test_typos_raise(overrides: dict, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError, match=message):
        load_protocol("train", None, overrides)


def test_unknown_protocol() -> None:
    with pytest.raises(ValueError, match="protocol 'quick' of screen: there are fast, balanced, stringent"):
        load_protocol("screen", "quick")


def test_inputs_are_left_as_they_are() -> None:
    inputs = {"a": {"b": 1}}
    merged = merge(inputs, {"a": {"b": 2}}, "test", ())
    merged["a"]["b"] = 3
    assert inputs == {"a": {"b": 1}}


def test_who_asks_for_epochs_gets_them() -> None:
    """A protocol asks for steps at least, which few crystals need; a number of epochs asked for stands above it."""
    own = training_protocol("fast", {})
    assert own["vae"]["settings"]["optimiser"]["min_steps"] == 2500
    asked = training_protocol("fast", {"vae": {"settings": {"optimiser": {"max_epochs": 2}}}})
    assert asked["vae"]["settings"]["optimiser"]["max_epochs"] == 2
    assert "min_steps" not in asked["vae"]["settings"]["optimiser"]
    assert asked["unet"] == own["unet"]
    both = training_protocol("fast", {"vae": {"settings": {"optimiser": {"max_epochs": 2, "min_steps": 10}}}})
    assert both["vae"]["settings"]["optimiser"]["min_steps"] == 10
