"""A property model says in its card what it was trained on, so that extrapolations can be told."""

from __future__ import annotations

from pathlib import Path

from icsg3d_models.comparison.fingerprint import read_fingerprint
from icsg3d_models.data.datasets import Dataset
from icsg3d_models.networks.model_file import read_header
from icsg3d_models.properties import chemistry
from icsg3d_models.results import Report
from icsg3d_models.settings import TrainSettings
from icsg3d_models.training.train import run


def test_card_and_fingerprint_agree(dataset: Dataset, dataset_file: Path) -> None:
    folder = dataset_file.parent
    settings = {"network": "cgcnn", "targets": ["formation_energy_per_atom"], "device": "cpu",
                "output": "m.safetensors", "optimiser": {"max_epochs": 1},
                "options": {"members": 2, "width": 8, "hidden": 8}}  # fmt: skip
    run(TrainSettings.model_validate(settings), Report("train", folder))
    known = chemistry.from_card(read_header(folder / "m.safetensors", "cgcnn").card)
    assert known == chemistry.of_crystals(dataset.crystals.take(dataset.part("train")))
    assert known == chemistry.of_fingerprint(read_fingerprint(folder / "fingerprint.h5"))
