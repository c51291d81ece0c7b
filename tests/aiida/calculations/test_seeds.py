"""The systems of the seed papers through the CalcJobs, with the real program."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiida.engine import run_get_node
from aiida.orm import CalcJobNode, Computer, Dict, InstalledCode
from aiida.plugins import CalculationFactory

from aiida_icsg3d.calculations.sample import check_prior

Run = Callable[..., CalcJobNode]


@pytest.fixture
def run(localhost: Computer, tmp_path: Path) -> Run:
    """Return a function that runs a stage by the real program and returns the job."""
    script = tmp_path / "icsg3d"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m icsg3d_models.cli "$@"\n')
    script.chmod(0o755)
    code = InstalledCode(computer=localhost, filepath_executable=str(script), label="real").store()

    def call(stage: str, settings: dict[str, Any], **inputs: Any) -> CalcJobNode:
        given = {"threads": 1, "device": "cpu", **settings}
        process = CalculationFactory(f"icsg3d.{stage}")
        node: Any = run_get_node(process, code=code, settings=Dict(given), **inputs)[1]
        return node

    return call


def train(run: Run, preset: str, network: str, options: dict[str, Any], dataset: Any, **inputs: Any) -> Any:
    """Train a network for one step and return the node of the model."""
    settings = {"preset": preset, "network": network, "options": options, "optimiser": {"max_steps": 1}}
    job = run("train", settings, dataset=dataset, **inputs)
    assert job.is_finished_ok, job.exit_message
    return job.outputs.model


def test_icsg3d(run: Run, dataset: Any) -> None:
    """Trained for a step it makes nothing of use; what is left out for want of a value is named on the way."""
    preset = {"preset": "icsg3d-2020"}
    unet = train(run, "icsg3d-2020", "unet", {"width": 1, "grid": 16}, dataset)
    small = {"latent": 4, "filters": [1, 1, 1, 1], "bins": 3}
    vae = train(run, "icsg3d-2020", "vae", small, dataset, unet=unet)
    assert (unet.class_name, vae.class_name) == ("ICSG3DUNet", "ICSG3DVAE")
    sampled = run("sample", {**preset, "mode": "reconstruct"}, vae=vae, dataset=dataset)
    assert sampled.is_finished_ok, sampled.exit_message
    assert [entry["id"] for entry in sampled.outputs.results["tables"]["left_out"]] == ["s000000"]
    fields = sampled.outputs.remote_folder
    segmented = run("segment", preset, unet=unet, fields_folder=fields)
    assert segmented.is_finished_ok, segmented.exit_message
    rebuilt = run("rebuild", {}, fields_folder=fields, segments_folder=segmented.outputs.remote_folder)
    assert rebuilt.exit_status in (0, 420)
    assert rebuilt.outputs.results["counts"]["samples"] == 7
    check_prior(vae, None, {"target formation_energy_per_atom": 1.0})  # of a conditional VAE it can be asked
    with pytest.raises(ValueError, match="cannot be asked of these models"):
        check_prior(vae, None, {"target band_gap": 1.0})


def test_hoffmann(run: Run, dataset: Any) -> None:
    unet = train(run, "hoffmann-2019", "unet", {"width": 2}, dataset)
    vae = train(run, "hoffmann-2019", "vae", {"width": 1, "latent": 4, "hidden": [4, 4]}, dataset, unet=unet)
    assert (unet.class_name, vae.class_name) == ("HoffmannUNet", "HoffmannVAE")
    sampled = run("sample", {"preset": "hoffmann-2019", "n_samples": 2}, vae=vae)
    assert sampled.is_finished_ok, sampled.exit_message
    fields = sampled.outputs.remote_folder
    segmented = run("segment", {"preset": "hoffmann-2019"}, unet=unet, fields_folder=fields)
    assert segmented.is_finished_ok, segmented.exit_message


def test_voxelnet(run: Run, dataset: Any) -> None:
    settings = {"preset": "voxelnet", "targets": ["formation_energy_per_atom"], "options": {"size": 8},
                "optimiser": {"max_steps": 1}}  # fmt: skip
    job = run("train", settings, dataset=dataset)
    assert job.is_finished_ok, job.exit_message
    assert job.outputs.model.config["channels"] == "elements"
