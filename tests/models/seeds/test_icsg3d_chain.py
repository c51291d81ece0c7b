"""The stages with the preset icsg3d-2020: trained, sampled, segmented, rebuilt and screened, as any other model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from icsg3d_models.crystals.batch import Crystals, read_crystals
from icsg3d_models.data.datasets import Dataset
from icsg3d_models.fields.batches import to_batch
from icsg3d_models.fields.field_file import ArrayWriter
from icsg3d_models.fields.seeds.icsg3d_box import CLASSES, species_map
from icsg3d_models.generation import rebuild, sample, segment
from icsg3d_models.networks.model_file import read_header
from icsg3d_models.properties.predict import predict
from icsg3d_models.results import Report, StageError
from icsg3d_models.settings import RebuildSettings, SampleSettings, ScreenSettings, SegmentSettings, TrainSettings
from icsg3d_models.settings.seeds.options import ICSG3DUNetOptions
from icsg3d_models.training.tasks.seeds.box_parts import Parts
from icsg3d_models.training.tasks.seeds.icsg3d_unet_task import ICSG3DUNetTask, class_weights
from icsg3d_models.training.train import run as train
from tests.models.seeds.test_icsg3d_box import PEROVSKITE, cubic
from tests.models.seeds.test_icsg3d_networks import RADII, unet

PRESET: dict[str, Any] = {"preset": "icsg3d-2020", "device": "cpu"}
HEAT = "formation_energy_per_atom"
SLANTED = np.array([[4.0, 0, 0], [-2, 3.46, 0], [0, 0, 6]])


def dataset_of(folder: Path) -> Path:
    """Write four cubic perovskites to train on, one that has no value, and one with a slanted cell."""
    some = cubic((38, 22, 8, 3.9), (56, 40, 8, 4.2), (19, 12, 9, 4.0), (56, 22, 8, 4.0), (38, 40, 8, 4.1))
    cells, sites = [*some.cell, SLANTED], [some.sites(i) for i in range(5)] + [(PEROVSKITE, some.sites(0)[1])]
    crystals = Crystals.from_arrays(cells, [f for f, _ in sites], [z for _, z in sites], [*some.ids, "slanted"])
    energy = np.array([-3.0, -2.0, -1.0, 0.0, np.nan, 1.0])
    data = Dataset(crystals, {HEAT: energy, "band_gap": np.arange(6.0)}, np.zeros(6, dtype=np.uint8), {}, "six")
    data.write(folder / "dataset.h5")
    return folder / "dataset.h5"


def trained(folder: Path, network: str, steps: int, **settings: Any) -> Report:
    """Train a network of the preset in the folder and return the report."""
    report = Report("train", folder, quiet=True)
    optimiser = {"learning_rate": 3e-3, "max_epochs": steps, "validate_every": steps}
    given = {**PRESET, "network": network, "output": f"{network}.safetensors", "checkpoint": network, **settings}
    train(TrainSettings.model_validate({**given, "optimiser": optimiser}), report)
    return report


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a dataset and all networks, narrow and hardly trained."""
    where = tmp_path_factory.mktemp("icsg3d")
    dataset_of(where)
    first = trained(where, "unet", 2, options={"width": 1, "grid": 16})
    assert [entry["id"] for entry in first.tables["left_out"]] == ["slanted"]
    options = {"latent": 8, "filters": [2, 2, 4, 4], "bins": 3}
    vae = trained(where, "vae", 2, unet="unet.safetensors", options=options)
    assert {entry["id"]: entry["reason"] for entry in vae.tables["left_out"]} == {
        "p4": f"its {HEAT} is not known", "slanted": "angles of 90, 90, 120 degrees; ICSG3D has right angles only",
    }  # fmt: skip
    trained(where, "cgcnn", 60)
    return where


def fields_of(folder: Path, **settings: Any) -> Report:
    """Run the stage sample and return its report."""
    report = Report("sample", folder, quiet=True)
    sample.run(SampleSettings.model_validate({**PRESET, **settings}), report)
    return report


def test_what_the_preset_sets() -> None:
    given = TrainSettings.model_validate({**PRESET, "network": "vae", "optimiser": {"max_epochs": 3}})
    assert (given.optimiser.max_epochs, given.optimiser.learning_rate, given.optimiser.batch_size) == (3, 5e-4, 20)
    assert (given.optimiser.schedule, given.optimiser.ema) == ("constant", 0.0)
    assert given.options.model_dump()["latent"] == 256
    assert SegmentSettings.model_validate(PRESET).threshold == 0.8
    assert SampleSettings.model_validate({**PRESET, "mode": "interpolate", "base": "x"}).n_samples == 8
    assert "charge_balance" in ScreenSettings.model_validate(PRESET).require
    with pytest.raises(ValueError, match="icsg3d-2020 has no prior; it has unet, vae, cgcnn"):
        TrainSettings.model_validate({**PRESET, "network": "prior"})
    with pytest.raises(ValueError, match="did you mean latent"):
        TrainSettings.model_validate({**PRESET, "network": "vae", "options": {"latentt": 3}})


def test_the_unet_learns_a_few_crystals() -> None:
    """Elements and mask of four crystals, in 80 steps."""
    batch = to_batch(cubic((38, 22, 8, 3.9), (56, 40, 8, 4.2), (19, 12, 9, 4.0), (56, 22, 8, 4.0)))
    torch.manual_seed(0)
    weights = class_weights(batch, ICSG3DUNetOptions(grid=16), torch.device("cpu"))
    assert weights[0] == weights[26] == 0
    assert sum(weight > 0 for weight in weights) == 8
    module = unet(width=2, grid=16, class_weights=weights).train()
    task = ICSG3DUNetTask(module, Parts({"train": batch}, np.arange(4), {}), torch.device("cpu"))
    optimiser = torch.optim.Adam(module.parameters(), lr=0.03)
    losses = []
    for step in range(80):
        loss, told = task.loss(np.arange(4), torch.Generator().manual_seed(step), 0.0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]
    assert float(told["voxel_accuracy"]) > 0.5
    assert float(told["mask_overlap"]) > 0.25


def test_published_class_weights_are_their_number() -> None:
    batch = to_batch(cubic((38, 22, 8, 3.9)))
    options = ICSG3DUNetOptions(grid=16, as_published_class_weights=True)
    assert class_weights(batch, options, torch.device("cpu")) == [95.0] * 95


def test_reconstruction_and_what_is_left_out(folder: Path) -> None:
    report = fields_of(folder, mode="reconstruct", base="dataset.h5")
    assert {entry["id"] for entry in report.tables["left_out"]} == {"p4", "slanted"}
    with h5py.File(folder / "fields.h5") as file:
        assert file["occupancy"].shape == (4, 16, 16, 16)
        assert file["coordinates"].shape == (4, 3, 16, 16, 16)
        assert file["latent"].shape == (4, 11)
        assert file["sample"][()].tolist() == [0, 1, 2, 3]
        assert file["latent"][:, 8:].argmax(axis=1).tolist() == [0, 0, 1, 2]
    told = fields_of(folder, mode="reconstruct", base="dataset.h5", base_value=-3.0)
    assert {entry["id"] for entry in told.tables["left_out"]} == {"slanted"}


def test_around_a_base_and_between_two(folder: Path) -> None:
    two = Dataset(cubic((38, 22, 8, 3.9), (56, 40, 8, 4.2)), {HEAT: np.array([-3.0, 0.0])}, np.zeros(2, np.uint8))
    two.write(folder / "two.h5")
    fields_of(folder, mode="base", base="two.h5", n_samples=6, spread=0.5)
    with h5py.File(folder / "fields.h5") as file:
        latent = file["latent"][()]
    assert latent[:, 8:].argmax(axis=1).tolist() == [0, 2] * 3
    assert np.isin(latent[:, 8:], (0, 1)).all()  # no noise on the quantile
    assert 0.1 < np.std(latent[::2, :8], axis=0).mean() < 1.0
    fields_of(folder, mode="interpolate", base="two.h5")
    with h5py.File(folder / "fields.h5") as file:
        line = file["latent"][()]
    assert len(line) == 8
    assert np.diff(line, axis=0) == pytest.approx(np.tile(line[1] - line[0], (7, 1)), abs=1e-5)


def test_new_crystals_for_a_target(folder: Path) -> None:
    fields_of(folder, n_samples=3, targets={HEAT: 0.0})
    with h5py.File(folder / "fields.h5") as file:
        assert file["latent"][:, 8:].argmax(axis=1).tolist() == [2, 2, 2]
    with pytest.raises(StageError, match="needs a fitted prior"):
        fields_of(folder, n_samples=3, targets={"band_gap": 0.0})


def test_true_fields_are_rebuilt(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stages segment and rebuild on true fields of 32³, with the true maps in place of the network's."""
    true = cubic((38, 22, 8, 3.9), (19, 12, 9, 4.0))
    batch = to_batch(true)
    perfect = unet(width=1, elements=[8, 9, 12, 19, 22, 38])
    species = species_map(batch, torch.tensor(RADII), 32)
    logits = 20 * torch.nn.functional.one_hot(species, CLASSES).movedim(-1, 1).float()
    monkeypatch.setattr(type(perfect), "forward", lambda self, x: (logits, 40 * (species > 0).float() - 20))
    monkeypatch.setattr(segment, "load_network", lambda *_: perfect)
    channels = perfect.channels(batch)
    with ArrayWriter(folder / "fields.h5", sample.UNITS) as writer:
        writer.append(occupancy=channels[:, 0].numpy(), coordinates=channels[:, 1:].numpy(), cell=batch.cell.numpy(),
                      sample=np.arange(2))  # fmt: skip
    report = Report("segment", folder, quiet=True)
    segment.run(SegmentSettings.model_validate({**PRESET, "unet": "unet.safetensors"}), report)
    assert report.counts == {"samples": 2, "regions": 10}
    rebuild.run(RebuildSettings(device="cpu"), Report("rebuild", folder, quiet=True))
    with h5py.File(folder / "crystals.h5") as file:
        found = read_crystals(file["crystals"])
    assert found.formulas() == ["SrTiO3", "KMgF3"]
    apart = np.sort(found.sites(0)[0], axis=0) - np.sort(true.sites(0)[0], axis=0)
    assert np.abs((apart - np.rint(apart)) * 3.9).max() < 0.25


def test_properties_of_crystals(folder: Path) -> None:
    """Without names it learns those of the eight that there are, and knows the crystals that it has seen."""
    assert read_header(folder / "cgcnn.safetensors").config["targets"] == [HEAT, "band_gap"]
    true = cubic((38, 22, 8, 3.9), (56, 40, 8, 4.2), (19, 12, 9, 4.0), (56, 22, 8, 4.0))
    found = predict(true, folder / "cgcnn.safetensors")
    assert found.reasons == [None] * 4
    assert np.corrcoef(found.values[HEAT], [-3, -2, -1, 0])[0, 1] > 0.8


def test_another_systems_unet_is_refused(folder: Path) -> None:
    trained(folder, "unet", 1, options={"width": 8}, preset=None, output="ours.safetensors")
    with pytest.raises(StageError, match="a U-Net of another system"):
        trained(folder, "vae", 1, unet="ours.safetensors")
    with pytest.raises(StageError, match="of the class UNet, where ICSG3DUNet is trained"):
        trained(folder, "unet", 1, start_from="ours.safetensors")
