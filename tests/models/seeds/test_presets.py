"""Presets from the command line: what they set is written out, and what is given stands above it."""

from __future__ import annotations

import json

import pytest

from icsg3d_models.cli import main
from icsg3d_models.settings import EvaluateSettings, SegmentSettings


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, object], str]:
    code = main([*arguments, "--print-settings"])
    out = capsys.readouterr()
    return code, json.loads(out.out) if out.out else {}, out.err


def test_all_settings_of_a_preset(capsys: pytest.CaptureFixture[str]) -> None:
    code, found, _ = printed(capsys, "train", "--preset", "voxelnet", "--options.grid", "spherical")
    assert code == 0
    assert found["network"] == "voxelnet"
    assert found["options"]["size"] == 32  # type: ignore[index]
    assert found["options"]["grid"] == "spherical"  # type: ignore[index]
    words = ("train", "--preset", "icsg3d-2020", "--network", "vae", "--options.filters", "2", "2", "4", "4")
    code, found, _ = printed(capsys, *words, "--optimiser.max_epochs", "3")
    assert code == 0
    assert found["options"]["filters"] == [2, 2, 4, 4]  # type: ignore[index]
    assert (found["optimiser"]["max_epochs"], found["optimiser"]["ema"]) == (3, 0.0)  # type: ignore[index]


def test_what_a_system_does_not_have(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, said = printed(capsys, "train", "--preset", "hoffmann-2019", "--network", "cgcnn")
    assert code == 1
    assert "hoffmann-2019 has no cgcnn; it has unet, vae" in said
    with pytest.raises(ValueError, match="preset"):
        SegmentSettings.model_validate({"preset": "icsg3d-2021"})
    with pytest.raises(ValueError, match="preset"):  # a stage that no system changes
        EvaluateSettings.model_validate({"preset": "icsg3d-2020"})
