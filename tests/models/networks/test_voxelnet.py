"""VoxelNet: what its predictions must not depend on, that it learns, and that it serves as a predictor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.data.datasets import Dataset
from icsg3d_models.networks.model_file import ModelFileError, ModelHeader, read_header, save_model
from icsg3d_models.networks.unet import UNet, UNetConfig
from icsg3d_models.networks.voxelnet import VoxelNet, VoxelNetConfig, random_rotations
from icsg3d_models.properties.predict import batches, predict, predict_all
from icsg3d_models.properties.reciprocal_batches import ReciprocalStore
from icsg3d_models.results import Report, StageError
from icsg3d_models.settings import TrainSettings
from icsg3d_models.training.tasks.voxelnet_task import VoxelNetTask
from icsg3d_models.training.train import run as train

TARGET = "formation_energy_per_atom"


def network(**options: object) -> VoxelNet:
    torch.manual_seed(1)
    config = {
        "targets": ["a", "b"],
        "elements": list(range(1, 90)),
        "size": 8,
        "length": 6.0,
        "hidden": [16],
        "width": 8,
    }
    return VoxelNet(VoxelNetConfig.model_validate({**config, **options})).eval()


def outputs(module: VoxelNet, structures: list[Structure]) -> np.ndarray:
    """Return what every member predicts, (B, M, T)."""
    with torch.no_grad():
        found = [module(batch) for _, batch in batches(module, Crystals.from_structures(structures), "cpu")]
    return torch.cat(found, dim=1).transpose(0, 1).numpy()


def triclinic(seed: int = 0, n: int = 4) -> Structure:
    rng = np.random.default_rng(seed)
    lattice = Lattice.from_parameters(4.1, 5.2, 6.3, 75, 98, 112)
    return Structure(lattice, ["Ti", "O", "Pb", "Cl"][:n], rng.random((n, 3)))


@pytest.mark.parametrize("grid", ["cartesian", "spherical"])
@pytest.mark.parametrize("channels", ["codes", "elements"])
def test_prediction_does_not_depend_on_the_description(grid: str, channels: str) -> None:
    module = network(grid=grid, channels=channels, members=2)
    crystal = triclinic()
    sheared = np.array([[1, 0, 0], [3, 1, 0], [-1, 2, 1]])
    others = {
        "supercell": crystal.copy().make_supercell([2, 1, 2], in_place=False),
        "sheared cell": crystal.copy().make_supercell(sheared, in_place=False),
        "translated": Structure(crystal.lattice, crystal.species, np.add(crystal.frac_coords, [0.13, 0.57, 0.91])),
        "permuted": Structure.from_sites([crystal[i] for i in (2, 0, 3, 1)]),
        "inverted": Structure(crystal.lattice, crystal.species, -crystal.frac_coords),
    }
    expected, *found = outputs(module, [crystal, *others.values()])
    for name, values in zip(others, found, strict=True):
        # phases in float32; the outputs are of order 0.1
        np.testing.assert_allclose(values, expected, atol=2e-5, err_msg=name)


def test_batch_of_one_equals_batch_of_many() -> None:
    module = network()
    crystals = [triclinic(seed, n) for seed, n in enumerate((4, 1, 3, 2))]
    together = outputs(module, crystals)
    alone = np.concatenate([outputs(module, [crystal]) for crystal in crystals])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert np.ptp(together, axis=0).min() > 1e-4  # different crystals do differ


def test_orientations_are_averaged() -> None:
    """A prediction is the mean over the fixed frames, so that the crystal in frame k counts like the others."""
    module = network(orientations=5)
    store = ReciprocalStore(Crystals.from_structures([triclinic()]), module.limit, "cpu")
    batch = store.select(np.array([0]))
    with torch.no_grad():
        each = torch.stack([module(batch, frame[None]) for frame in module.frames])
        torch.testing.assert_close(module(batch), each.mean(dim=0))
    assert each.std(dim=0).min() > 1e-5


def test_rotations_are_uniform() -> None:
    found = random_rotations(20_000, torch.Generator().manual_seed(0))
    torch.testing.assert_close(found @ found.transpose(1, 2), torch.eye(3).expand(20_000, 3, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.det(found), torch.ones(20_000), atol=1e-5, rtol=0)
    assert found.mean(dim=0).abs().max() < 0.02
    # the angle of a uniform rotation has the density (1 - cos t) / pi, of which the mean cosine is -1/2
    assert ((found.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2).mean() == pytest.approx(-0.5, abs=0.02)


def test_large_crystals_come_in_smaller_batches() -> None:
    small = triclinic()
    crystals = Crystals.from_structures([small, small * (3, 3, 3), small, small])
    store = ReciprocalStore(crystals, 6.0, "cpu")
    groups = [indices.tolist() for indices, _ in store.batches(most_work=store.work[1] * 1.5)]
    assert [index for group in groups for index in group] == [0, 1, 2, 3]
    assert len(groups) > 1
    assert all(len(group) == 1 or store.work[group].max() * len(group) <= store.work[1] * 1.5 for group in groups)
    assert store.select(np.array([0, 2])).numbers.shape == (2, 4)


def settings(**options: object) -> TrainSettings:
    base = {
        "network": "voxelnet",
        "targets": [TARGET],
        "device": "cpu",
        "optimiser": {"max_epochs": 20, "batch_size": 8, "learning_rate": 3e-3},
        "options": {"size": 8, "length": 6.0, "hidden": [32], "members": 2},
    }
    return TrainSettings(**(base | options))  # type: ignore[arg-type]


def test_learns_and_predicts(dataset: Dataset, tmp_path: Path) -> None:
    dataset.write(tmp_path / "dataset.h5")
    report = Report("train", tmp_path, quiet=True)
    train(settings(), report)
    spread = dataset.values(TARGET).std()
    assert report.scalars[f"test_mae_{TARGET}"] < 0.6 * spread
    model = tmp_path / "model.safetensors"
    header = read_header(model)
    assert header.network == "voxelnet"
    assert header.config["elements"] == [8, 9, 12, 13, 20, 22, 38, 56]
    prediction = predict(dataset.crystals, model)
    test = dataset.part("test")
    error = np.abs(prediction.values[TARGET] - dataset.values(TARGET))[test].mean()
    assert error == pytest.approx(report.scalars[f"test_mae_{TARGET}"], rel=1e-3)
    assert (prediction.uncertainty[TARGET] > 0).all()
    strange = Crystals.from_structures([triclinic(), next(dataset.crystals.structures())])
    both = predict_all(strange, [str(model), str(model)])
    assert "Cl, Pb: not among the elements" in str(both.reasons[0])
    assert np.isnan(both.values[TARGET][0])
    assert np.isfinite(both.values[TARGET][1])


def test_descriptors_have_unit_size_after_scaling(dataset: Dataset) -> None:
    task = VoxelNetTask.build(settings(options={"size": 8, "hidden": [8], "channels": "elements"}), dataset,
                              torch.device("cpu"))  # fmt: skip
    module = task.module
    assert isinstance(module, VoxelNet)
    with torch.no_grad():
        grids = [module.voxels(module.amplitudes(batch)) for _, batch in task.stores["train"].batches()]
    square = torch.cat(grids).square().mean(dim=(2, 3, 4))  # (B, C)
    for channel in square.T:
        assert channel[channel > 0].mean() == pytest.approx(1, rel=1e-4)


def test_one_seed_gives_one_loss(dataset: Dataset) -> None:
    losses = []
    for _ in range(2):
        torch.manual_seed(0)
        task = VoxelNetTask.build(settings(), dataset, torch.device("cpu"))
        losses.append([task.loss(np.arange(4), torch.Generator().manual_seed(s), 0.0)[0].item() for s in (1, 2)])
    assert losses[0] == losses[1]
    assert losses[0][0] != losses[0][1]  # another orientation


def test_nothing_to_predict_is_refused(dataset: Dataset) -> None:
    with pytest.raises(StageError, match="the dataset has formation_energy_per_atom"):
        VoxelNetTask.build(settings(targets=[]), dataset, torch.device("cpu"))


def test_a_network_that_predicts_nothing_is_refused(tmp_path: Path) -> None:
    config = UNetConfig(elements=[8])
    save_model(tmp_path / "m.safetensors", ModelHeader("unet", config.model_dump(), {}), UNet(config).state_dict())
    with pytest.raises(ModelFileError, match="holds a unet network where a cgcnn or voxelnet is needed"):
        predict(Crystals.from_structures([triclinic()]), tmp_path / "m.safetensors")
