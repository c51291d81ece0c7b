"""The stages with the preset hoffmann-2019."""

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
from icsg3d_models.fields.seeds.hoffmann_box import CLASSES, fields_of
from icsg3d_models.generation import rebuild, sample, segment
from icsg3d_models.networks.model_file import read_header
from icsg3d_models.networks.seeds.hoffmann_unet import HoffmannUNet, HoffmannUNetConfig
from icsg3d_models.networks.seeds.hoffmann_vae import HoffmannVAE, HoffmannVAEConfig
from icsg3d_models.results import Report, StageError
from icsg3d_models.settings import RebuildSettings, SampleSettings, SegmentSettings, TrainSettings
from icsg3d_models.settings.seeds.options import HoffmannVAEOptions
from icsg3d_models.training.tasks.seeds.box_parts import Parts
from icsg3d_models.training.tasks.seeds.hoffmann_tasks import HoffmannUNetTask, HoffmannVAETask
from icsg3d_models.training.train import run as train
from tests.models.seeds.test_icsg3d_box import cubic

PRESET: dict[str, Any] = {"preset": "hoffmann-2019", "device": "cpu"}
NARROW = {"unet": {"width": 2}, "vae": {"width": 1, "latent": 6, "hidden": [8, 8]}}


def unet(**options: object) -> HoffmannUNet:
    torch.manual_seed(0)
    given = {"elements": [8, 9, 12, 19, 22, 38], **options}
    return HoffmannUNet(HoffmannUNetConfig.model_validate(given)).eval()


def vae(**options: object) -> HoffmannVAE:
    torch.manual_seed(0)
    given = {"elements": [8], "representation": "repeating", "as_published_images": False, **options}
    return HoffmannVAE(HoffmannVAEConfig.model_validate(given)).eval()


def size(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def trained(folder: Path, network: str, **settings: Any) -> Report:
    """Train a network for two steps and return the report."""
    report = Report("train", folder, quiet=True)
    given = {**PRESET, "network": network, "output": f"{network}.safetensors", "checkpoint": network,
             "options": NARROW[network], "optimiser": {"max_epochs": 2, "learning_rate": 0.01}, **settings}  # fmt: skip
    train(TrainSettings.model_validate(given), report)
    return report


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a dataset and both networks, narrow and hardly trained."""
    where = tmp_path_factory.mktemp("hoffmann")
    some = cubic((38, 22, 8, 3.9), (19, 12, 9, 4.0))
    cells, sites = [*some.cell, 12 * np.eye(3)], [*[some.sites(i) for i in range(2)], some.sites(0)]
    crystals = Crystals.from_arrays(cells, [f for f, _ in sites], [z for _, z in sites], ["a", "b", "wide"])
    Dataset(crystals, {}, np.zeros(3, dtype=np.uint8), {}, "three").write(where / "dataset.h5")
    assert [entry["id"] for entry in trained(where, "unet").tables["left_out"]] == ["wide"]
    trained(where, "vae", unet="unet.safetensors")
    return where


def test_the_published_layers() -> None:
    assert vae().mirror.tolist()[:12] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 1]
    assert vae().mirror.tolist()[-12:] == [28, 29, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20]
    dense = (256 * 4**3 + 1) * 3000 + 2 * 3001 * 300 + 301 * 3200 + 3201 * 256 * 4**3
    encoder = sum(
        k**3 * a * b + b + 2 * b for a, b, k in ((1, 16, 5), (16, 32, 3), (32, 64, 3), (64, 128, 3), (128, 256, 3))
    )
    decoder = sum(
        k**3 * a * b + b + 2 * b for a, b, k in ((256, 128, 4), (128, 64, 5), (64, 32, 5), (32, 16, 4), (16, 1, 4))
    )
    assert size(vae()) == dense + encoder + decoder


def test_the_attention_unet_has_the_published_layers() -> None:
    def layer(a: int, b: int, k: int) -> int:
        return k**3 * a * b + b + 2 * b

    widths = [64, 128, 256, 512, 1024]
    expected = sum(layer(a, b, 3) + layer(b, b, 3) for a, b in zip([1, *widths], widths, strict=False))
    for w in widths[:-1]:
        kernel = 4 if w == 64 else 3
        expected += layer(2 * w, w, 3) + layer(2 * w, w, kernel) + layer(w, w, kernel)
        expected += 2 * layer(w, w // 2, 1) + layer(w // 2, 1, 1)
    with torch.device("meta"):
        assert size(unet()) == expected + 65 * 95
    small = unet(width=2)
    assert small(torch.zeros(1, 1, 30, 30, 30)).shape == (1, 95, 30, 30, 30)


def test_latents_and_fields() -> None:
    module = vae(**NARROW["vae"])
    batch = to_batch(cubic((38, 22, 8, 3.9), (19, 12, 9, 4.0)))
    mean, log_variance = module.encode(batch, (30, 30, 30))
    assert mean.shape == log_variance.shape == (2, 6)
    field, nothing, cell = module.decode(mean, batch.cell)
    assert field.shape == (2, 1, 30, 30, 30)
    assert nothing.shape == (2, 0)
    assert torch.equal(cell[0], 10 * torch.eye(3))  # the box: the cell is found again from the atoms
    one = vae(**NARROW["vae"], representation="one")
    assert torch.allclose(one.decode(mean, batch.cell)[2], batch.cell, atol=1e-5)
    assert one.without_prior() is None


def test_labels_are_learned() -> None:
    """Of two crystals, in forty steps and ever new orientations."""
    batch = to_batch(cubic((38, 22, 8, 3.9), (38, 22, 8, 4.1)))
    module = unet(width=4).train()
    task = HoffmannUNetTask(module, Parts({"train": batch}, np.arange(2), {}), torch.device("cpu"), None)
    optimiser = torch.optim.Adam(module.parameters(), lr=0.03)
    losses = []
    for step in range(40):
        loss, told = task.loss(np.arange(2), torch.Generator().manual_seed(step), 0.0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.1 * losses[0]
    assert float(told["voxel_accuracy"]) > 0.4  # at first all is oxygen, which three of five atoms are


def test_densities_are_learned() -> None:
    batch = to_batch(cubic((38, 22, 8, 3.9)))
    module = vae(width=2, latent=6, hidden=(16, 16)).train()
    options = HoffmannVAEOptions(loss_kl=0.0, loss_labels=0.0)
    parts = Parts({"train": batch}, np.arange(1), {})
    task = HoffmannVAETask(module, unet(width=2), options, parts, torch.device("cpu"))
    optimiser = torch.optim.Adam(module.parameters(), lr=0.03)
    losses = []
    for _ in range(25):
        loss, told = task.loss(np.arange(1), torch.Generator().manual_seed(1), 0.0)  # always in one orientation
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(told["field_loss"].detach()))
    assert losses[-1] < 0.3 * losses[0]


def test_training_on_what_the_vae_decodes(folder: Path) -> None:
    report = trained(folder, "unet", vae="vae.safetensors", start_from="unet.safetensors", output="second.safetensors")
    assert report.scalars["validation_loss"] > 0
    with pytest.raises(StageError, match="its box shows repeating"):
        trained(folder, "unet", vae="vae.safetensors", options={"width": 2, "representation": "one"})
    twice = {**NARROW["vae"], "as_published_twice": True}
    once = trained(folder, "vae", unet="unet.safetensors", output="x.safetensors").scalars["validation_label_loss"]
    both = trained(folder, "vae", unet="unet.safetensors", options=twice, output="x.safetensors")
    assert both.scalars["validation_label_loss"] > 5 * once
    assert read_header(folder / "x.safetensors").class_name == "HoffmannVAE"


def test_new_altered_and_between(folder: Path) -> None:
    def drawn(**settings: Any) -> np.ndarray:
        report = Report("sample", folder, quiet=True)
        sample.run(SampleSettings.model_validate({**PRESET, **settings}), report)
        with h5py.File(folder / "fields.h5") as file:
            assert "species" not in file
            assert file["occupancy"].shape[1:] == (30, 30, 30)
            latent: np.ndarray = file["latent"][()]
        return latent

    assert drawn(n_samples=3).shape == (3, 6)
    altered = drawn(mode="base", base="dataset.h5", n_samples=4, spread=0.5)
    assert not np.allclose(altered[0], altered[2])
    two = Dataset(cubic((38, 22, 8, 3.9), (19, 12, 9, 4.0)), {}, np.zeros(2, dtype=np.uint8), {}, "two")
    two.write(folder / "two.h5")
    line = drawn(mode="interpolate", base="two.h5", n_samples=5)
    assert np.diff(line, axis=0) == pytest.approx(np.tile(line[1] - line[0], (4, 1)), abs=1e-5)


def test_true_fields_are_rebuilt(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With true labels in place of the network's: a crystal comes out, and of a field without one the reason."""
    batch = to_batch(cubic((38, 22, 8, 3.9), (19, 12, 9, 4.0)))
    field, labels = fields_of(batch, "repeating", torch.Generator().manual_seed(2))
    field, labels = torch.cat([field, 0 * field[:1]]), torch.cat([labels, 0 * labels[:1]])
    perfect = unet(width=2)
    logits = 20 * torch.nn.functional.one_hot(labels, CLASSES).movedim(-1, 1).float() - 10
    monkeypatch.setattr(type(perfect), "forward", lambda self, x: logits)
    monkeypatch.setattr(segment, "load_network", lambda *_: perfect)
    with ArrayWriter(folder / "fields.h5", sample.UNITS) as writer:
        writer.append(occupancy=field[:, 0].numpy(), cell=np.tile(10 * np.eye(3), (3, 1, 1)), sample=np.arange(3))
    report = Report("segment", folder, quiet=True)
    segment.run(SegmentSettings.model_validate({**PRESET, "unet": "unet.safetensors"}), report)
    assert report.counts == {"samples": 3, "regions": 10}
    report = Report("rebuild", folder, quiet=True)
    rebuild.run(RebuildSettings(device="cpu"), report)
    assert report.tables["not_rebuilt"] == {"s000002": "fewer than two atoms in the box"}
    with h5py.File(folder / "crystals.h5") as file:
        found = read_crystals(file["crystals"])
    assert found.formulas() == ["SrTiO3", "KMgF3"]
    assert np.abs(found.volumes - [3.9**3, 4.0**3]).max() < 2.0
