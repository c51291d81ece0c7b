"""The job of several stages: what it writes for the program, links, and refuses."""

from __future__ import annotations

from typing import Any

import pytest
from aiida.orm import Dict, StructureData

from aiida_icsg3d.calculations.chain.chain import ChainCalculation
from tests.aiida import made_up


@pytest.fixture
def inputs(fake_code: Any, model: Any, dataset: Any) -> dict[str, Any]:
    """Return the inputs of a job."""
    crystal = StructureData(cell=[[4, 0, 0], [0, 4, 0], [0, 0, 4]])
    crystal.append_atom(symbols="Ti", position=(0, 0, 0))
    return {
        "code": fake_code(),
        "sample": {"vae": model("vae"), "base": {"x": crystal}, "settings": Dict({"mode": "base", "n_samples": 3})},
        "segment": {"unet": model("unet"), "settings": Dict({"elements": ["Ti", "O"]})},
        "rebuild": {},
        "screen": {"predictors": {"a": model("cgcnn")}, "reference": dataset, "base": {"x": crystal}},
    }


def test_settings_and_files(prepared: Any, inputs: dict[str, Any], remote: Any, tmp_path: Any) -> None:
    info, settings = prepared("icsg3d.chain", {**inputs, "parent_folder": remote()})
    assert settings["sample"]["base"] == "sample_base.h5"
    assert settings["sample"]["vae"] == "sample_vae.safetensors"
    assert settings["segment"]["unet"] == "segment_unet.safetensors"
    assert settings["segment"]["fields"] == settings["rebuild"]["fields"] == "fields.h5"
    assert settings["screen"]["predictors"] == ["screen_predictor_a.safetensors"]
    assert settings["screen"]["reference"] == "screen_reference.h5"
    assert settings["resume_from"] == "earlier"
    assert {name for _, _, name in info.local_copy_list} == {
        "sample_vae.safetensors", "segment_unet.safetensors", "screen_predictor_a.safetensors", "screen_reference.h5",
    }  # fmt: skip
    assert {"settings.json", "sample_base.h5", "screen_base.h5"} <= set(info.files)
    ((_, target, name),) = info.remote_symlink_list
    assert (target, name) == (str(tmp_path), "earlier")
    assert {"results_screen.json", "crystals.h5", "screening.csv"} <= set(info.retrieve_list)
    assert info.codes_info[0].cmdline_params == ["chain", "settings.json"]


def test_without_screening(prepared: Any, inputs: dict[str, Any]) -> None:
    inputs.pop("screen")
    info, settings = prepared("icsg3d.chain", inputs)
    assert settings["last"] == "rebuild"
    assert "resume_from" not in settings
    assert not [name for name in info.retrieve_list if "screen" in name]


@pytest.mark.parametrize(
    ("stage", "settings", "words"),
    [
        ("sample", {"mode": "prior"}, "base crystals are given, but mode is 'prior'"),
        ("sample", {"fields": "f.h5"}, "fields is set by the CalcJob"),
        ("segment", {"elements": ["Xx"]}, "Xx"),
        ("rebuild", {"max_site": 3}, "did you mean max_sites"),
    ],
)
def test_refused(inputs: dict[str, Any], stage: str, settings: dict[str, Any], words: str) -> None:
    inputs[stage]["settings"] = Dict(settings)
    problem = ChainCalculation.spec().inputs.validate({**inputs, "metadata": {}})
    assert problem is not None
    assert words in problem.message


def test_a_stage_that_left_nothing(parsed: Any, tmp_path: Any) -> None:
    """The chain says that a stage ran, and its results did not come back."""
    made_up.write_stage(tmp_path, "sample", file="results_sample.json")
    report = made_up.Report("chain", tmp_path, quiet=True)
    report.tables["stages"] = {"sample": {"kept": False}, "segment": {"kept": False}}
    report.write("completed")
    outputs, node = parsed("chain", tmp_path)
    assert node.exit_status == 303
    assert "results_segment.json" in node.exit_message
    assert set(outputs) == {"results", "sample_results"}
