"""Half precision and compiled networks: they train, and what they cannot do is refused."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from icsg3d_models.networks.model_file import load_weights
from icsg3d_models.results import Report, StageError
from icsg3d_models.settings import TrainSettings
from icsg3d_models.training.loop.acceleration import compiled, precision
from icsg3d_models.training.train import run

SMALL: dict[str, dict[str, Any]] = {
    "unet": {"options": {"width": 8}},
    "vae": {"options": {"width": 8, "latent": 8}, "unet": "unet.safetensors"},
    "prior": {"options": {"width": 16, "depth": 1}, "vae": "vae.safetensors"},
    "cgcnn": {"options": {"width": 8, "hidden": 8}, "targets": ["formation_energy_per_atom"]},
}


def test_every_network_trains_in_half_precision(dataset_file: Path) -> None:
    folder = dataset_file.parent
    for network, chosen in SMALL.items():
        common = {"network": network, "output": f"{network}.safetensors", "device": "cpu", "precision": "bfloat16"}
        report = Report("train", folder)
        run(TrainSettings.model_validate({**common, **chosen, "optimiser": {"max_epochs": 2}}), report)
        assert report.counts["steps"] > 0
        weights = load_weights(folder / f"{network}.safetensors")
        assert all(w.dtype == torch.float32 for w in weights.values() if w.is_floating_point())


def test_half_precision_is_what_is_computed_in() -> None:
    settings = TrainSettings(network="unet", precision="bfloat16")
    with precision(settings, torch.device("cpu")):
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == torch.bfloat16
    with precision(TrainSettings(network="unet"), torch.device("cpu")):
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == torch.float32


def test_a_format_of_gpus_is_refused_elsewhere() -> None:
    with pytest.raises(StageError, match="tf32 is a format of NVIDIA GPUs, the device is cpu") as refused:
        precision(TrainSettings(network="unet", precision="tf32"), torch.device("cpu"))
    assert refused.value.status == "settings_rejected"


def test_what_is_compiled_is_what_the_loss_calls(dataset_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Methods are named by their tasks; one that no loss calls would be compiled for nothing."""
    called: list[str] = []

    def watched(method: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            called.append(method.__name__)
            return method(*arguments, **named)

        return call

    monkeypatch.setattr(torch, "compile", watched)
    folder = dataset_file.parent
    for network, chosen in SMALL.items():
        called.clear()
        common = {"network": network, "output": f"{network}.safetensors", "device": "cpu", "compile": True}
        run(TrainSettings.model_validate({**common, **chosen, "optimiser": {"max_epochs": 1}}), Report("train", folder))
        names = {"unet": {"features"}, "vae": {"encode_fields", "decode_fields"}, "cgcnn": {"with_errors"}}
        assert set(called) == names.get(network, {"forward"})


def test_a_compiled_network_is_itself_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced by torch.compile; the code generator behind it is left out, which takes a minute."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    module, x = nn.Sequential(nn.Linear(3, 3), nn.SiLU()), torch.ones(2, 3)
    wanted, names = module(x), set(module.state_dict())
    with compiled(module, ("forward",), True):
        assert "forward" in vars(module)
        torch.testing.assert_close(module(x), wanted)
        assert set(module.state_dict()) == names
    assert "forward" not in vars(module)
    with compiled(module, ("forward",), False):
        assert "forward" not in vars(module)


def test_no_compiler_no_compiled_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(StageError, match=r"needs a C\+\+ compiler"), compiled(nn.Linear(1, 1), ("forward",), True):
        pass
