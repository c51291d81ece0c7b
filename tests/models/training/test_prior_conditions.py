"""Priors that are told of any conditions: trained in seconds, asked, and refusing what they were not told of."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from pydantic import ValidationError

from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.data.datasets import Dataset
from icsg3d_models.generation.sample import run as sample
from icsg3d_models.networks.generator import Autoencoder
from icsg3d_models.networks.local_vae import LocalVAE, LocalVAEConfig
from icsg3d_models.networks.model_file import ModelHeader, read_header, save_model
from icsg3d_models.networks.vae import VAE, VAEConfig
from icsg3d_models.results import Report, StageError
from icsg3d_models.settings import SampleSettings, TrainSettings
from icsg3d_models.training.train import run as train

ELEMENTS = [8, 22, 82]
IDEAL = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])


def fixed() -> Autoencoder:
    shape = {"lattice_mean": [1.36] * 3 + [0.0] * 3, "lattice_std": [0.05] * 6}
    return VAE(VAEConfig(elements=ELEMENTS, latent=4, width=8, **shape))


def any_shape() -> Autoencoder:
    return LocalVAE(LocalVAEConfig(elements=ELEMENTS, spacing=0.5, width=8, channels=4))


@pytest.fixture(params=[fixed, any_shape], ids=["one grid", "any shape"])
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Return a folder with an untrained VAE and a dataset of cubic and tetragonal perovskites."""
    torch.manual_seed(0)
    vae = request.param()
    header = ModelHeader("vae", vae.config.model_dump(), {}, type(vae).__name__)
    save_model(tmp_path / "vae.safetensors", header, vae.state_dict())
    cells = [np.diag([a, a, a * (1.0 if i % 2 else 1.08)]) for i, a in enumerate(np.linspace(3.8, 4.1, 12))]
    crystals = Crystals.from_arrays(cells, [IDEAL] * 12, [np.array([82, 22, 8, 8, 8])] * 12, list("abcdefghijkl"))
    split = np.array([0] * 8 + [1] * 2 + [2] * 2, dtype=np.uint8)
    Dataset(crystals, {"energy": np.linspace(0, 1, 12)}, split, {"energy": "eV"}).write(tmp_path / "dataset.h5")
    return tmp_path


def trained(folder: Path, **changes: object) -> None:
    optimiser = {"max_epochs": 2, "batch_size": 4}
    settings = {"network": "prior", "vae": "vae.safetensors", "output": "prior.safetensors", "device": "cpu"}
    options = {"width": 16, "depth": 1}
    train(
        TrainSettings.model_validate({**settings, "optimiser": optimiser, "options": options, **changes}),
        Report("train", folder, quiet=True),
    )


def cells(folder: Path, **asked: object) -> np.ndarray:
    """Return the cells of three samples."""
    settings = SampleSettings.model_validate({"n_samples": 3, "device": "cpu", "seed": 1, **asked})
    sample(settings, Report("sample", folder, quiet=True))
    found = {}
    with h5py.File(folder / "fields.h5") as file:
        for group in [entry for entry in file.values() if isinstance(entry, h5py.Group)] or [file]:
            found |= dict(zip(group["sample"][()].tolist(), group["cell"][()], strict=True))
    return np.array([found[n] for n in range(3)])


def test_space_group_and_density_are_asked_of_a_prior_that_was_told_of_them(folder: Path) -> None:
    trained(folder, conditions=["elements", "space_group", "density"], targets=["energy"])
    blocks = read_header(folder / "prior.safetensors").config["conditions"]
    assert {block["name"]: block["width"] for block in blocks} == {
        "elements": 3, "space_group": 230, "density": 1, "target energy": 1,
    }  # fmt: skip
    free = cells(folder)
    for asked in ({"space_group": 221}, {"space_group": 123}, {"density": 8.0}, {"density": 9.0},
                  {"targets": {"energy": 0.5}}):  # fmt: skip
        assert np.abs(cells(folder, **asked) - free).max() > 1e-6, asked
    assert np.abs(cells(folder, density=8.0) - cells(folder, density=9.0)).max() > 1e-7
    with pytest.raises(StageError, match="not trained with composition; it can be asked for elements, space_group, d"):
        cells(folder, composition="PbTiO3")


def test_what_a_prior_is_told_of_where_nobody_says(folder: Path) -> None:
    trained(folder)
    header = read_header(folder / "prior.safetensors")
    names = [block["name"] for block in header.config["conditions"]]
    assert names[0] == "elements"
    assert ("density" in names) == (header.class_name == "LocalPrior")


@pytest.mark.parametrize("folder", [fixed], indirect=True)
def test_conditions_that_are_none_are_refused(folder: Path) -> None:
    with pytest.raises(StageError, match="`conditions`: colour is none; there are elements, composition"):
        trained(folder, conditions=["colour"])
    with pytest.raises(ValidationError, match="`conditions` are what a prior is told of, not the network 'vae'"):
        TrainSettings.model_validate({"network": "vae", "conditions": ["density"]})
