"""The trial of a trained set: what it counts, and which network it names."""

from __future__ import annotations

import shutil
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch

from icsg3d_models.data.datasets import Dataset
from icsg3d_models.results import Report
from icsg3d_models.settings import TrainSettings
from icsg3d_models.training.trial import Trial, crystals_to_try, run_trial


def test_the_shipped_set_passes(dataset: Dataset, tmp_path: Path) -> None:
    shipped = Path(str(files("icsg3d_models") / "pretrained" / "perov5"))
    settings = TrainSettings.model_validate(
        {
            "network": "prior", "unet": str(shipped / "unet.safetensors"), "vae": str(shipped / "vae.safetensors"),
            "output": "prior.safetensors", "trial_samples": 4, "device": "cpu",
        }
    )  # fmt: skip
    shutil.copy(shipped / "prior.safetensors", tmp_path)
    trial = run_trial(settings, Report("train", tmp_path), dataset, torch.device("cpu"))
    assert (trial.part, trial.tried, trial.sampled) == ("test", 4, 4)
    assert (trial.unet, trial.vae) == (4, 4)
    assert trial.prior >= 3
    assert trial.needs_more is None
    assert [path.name for path in tmp_path.iterdir()] == ["prior.safetensors"]


@pytest.mark.parametrize(
    ("unet", "vae", "prior", "needs_more"),
    [(16, 16, 16, None), (8, 8, 8, None), (7, 0, 0, "unet"), (16, 7, 0, "vae"), (16, 15, 3, "prior")],
)
def test_the_first_network_that_fails_is_named(unet: int, vae: int, prior: int, needs_more: str | None) -> None:
    trial = Trial("test", 16, 16, unet, vae, prior, 0)
    assert trial.needs_more == needs_more
    assert trial.table()["needs_more"] == needs_more
    assert (f"the {needs_more} needs more steps" in trial.words()) == (needs_more is not None)


def test_crystals_that_training_saw_least_of_are_tried(dataset: Dataset) -> None:
    elements = set(dataset.crystals.numbers.tolist())
    assert crystals_to_try(dataset, elements, 3)[0] == "test"
    only_train = replace(dataset, split=np.zeros(len(dataset), dtype=np.uint8))
    part, crystals = crystals_to_try(only_train, elements, 3)
    assert (part, len(crystals)) == ("train", 3)
    known = {8, 22, 38}
    part, crystals = crystals_to_try(only_train, known, 99)
    assert set(crystals.numbers.tolist()) <= known
