"""VoxelNet as published, by its preset: its layers, its grids, and that it learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from icsg3d_models.fields.batches import to_batch
from icsg3d_models.networks.model_file import read_header
from icsg3d_models.networks.voxelnet import VoxelNet, VoxelNetConfig
from icsg3d_models.properties.predict import predict
from icsg3d_models.results import Report
from icsg3d_models.settings import TrainSettings
from icsg3d_models.training.train import run as train
from tests.models.seeds.test_icsg3d_box import cubic
from tests.models.seeds.test_icsg3d_chain import dataset_of


def options(**given: object) -> dict[str, object]:
    settings = TrainSettings.model_validate({"preset": "voxelnet", "options": given})
    assert settings.network == "voxelnet"
    return settings.options.model_dump()


def test_the_published_layers() -> None:
    published = options()
    assert (published["size"], published["channels"], published["loss"]) == (32, "elements", "squared")
    module = VoxelNet(VoxelNetConfig.model_validate({**published, "targets": ["a"], "elements": [8, 22, 38]}))
    layers = 27 * 3 * 16 + 16 + 2 * (27 * 16 * 16 + 16)
    dense = (16 * 8**3 + 1) * 1024 + 1025 * 32 + 33 * 8 + 9
    assert sum(p.numel() for p in module.parameters()) == layers + dense


def test_either_grid_is_read_whole_and_inversion_changes_nothing() -> None:
    batch = to_batch(cubic((38, 22, 8, 3.9)))
    for grid in ("cartesian", "spherical"):
        config = {**options(grid=grid, size=8, length=6.0), "targets": ["a"], "elements": [8, 22, 38]}
        module = VoxelNet(VoxelNetConfig.model_validate(config)).eval()
        found = module.amplitudes(batch)
        voxels = module.voxels(found)
        assert voxels.shape == (1, 3, 8, 8, 8)
        assert torch.allclose(module.voxels(found.turned(-torch.eye(3))), voxels, atol=1e-6)
        assert (voxels.flatten(2).amax(dim=2) > 0).all()  # every element of the crystal is in its channel


def test_it_learns(tmp_path: Path) -> None:
    dataset_of(tmp_path)
    report = Report("train", tmp_path, quiet=True)
    settings = {
        "preset": "voxelnet",
        "device": "cpu",
        "targets": ["formation_energy_per_atom"],
        "options": {"size": 8, "hidden": [32, 8]},
        "optimiser": {"max_epochs": 150, "validate_every": 150},
    }
    train(TrainSettings.model_validate(settings), report)
    assert report.scalars["validation_train_loss"] < 0.4  # 1 is the spread of the targets
    assert read_header(tmp_path / "model.safetensors").config["whole_grid"] is True
    true = cubic((38, 22, 8, 3.9), (56, 40, 8, 4.2), (19, 12, 9, 4.0), (56, 22, 8, 4.0))
    found = predict(true, tmp_path / "model.safetensors").values["formation_energy_per_atom"]
    assert np.corrcoef(found, [-3, -2, -1, 0])[0, 1] > 0.8
