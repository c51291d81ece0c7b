"""The property model: invariances, missing targets, calibration, and that it learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from icsg3d_models.comparison.fingerprint import read_fingerprint
from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.data.datasets import Dataset
from icsg3d_models.networks.cgcnn import CGCNN, CGCNNConfig, CrystalGraph, element_descriptors
from icsg3d_models.networks.model_file import ModelFileError, ModelHeader, read_header, save_model
from icsg3d_models.properties.graph_batches import GraphStore
from icsg3d_models.properties.predict import predict, predict_all
from icsg3d_models.results import Report, StageError
from icsg3d_models.settings import TrainSettings
from icsg3d_models.training.tasks.cgcnn_task import CGCNNTask
from icsg3d_models.training.tasks.property_task import calibrate
from icsg3d_models.training.train import run as train

TARGET = "formation_energy_per_atom"


@pytest.fixture(scope="module")
def network() -> CGCNN:
    torch.manual_seed(1)
    config = CGCNNConfig(targets=["a", "b"], elements=list(range(1, 90)), members=2, width=16, hidden=16)
    return CGCNN(config).eval()


def outputs(network: CGCNN, structures: list[Structure]) -> np.ndarray:
    """Return what every member predicts, (B, M, T)."""
    store = GraphStore(Crystals.from_structures(structures), network.config.cutoff, "cpu")
    with torch.no_grad():
        return network(store.graph(np.arange(len(structures)))).transpose(0, 1).numpy()


def triclinic(seed: int = 0, n: int = 4) -> Structure:
    rng = np.random.default_rng(seed)
    lattice = Lattice.from_parameters(4.1, 5.2, 6.3, 75, 98, 112)
    return Structure(lattice, ["Ti", "O", "Pb", "Cl"][:n], rng.random((n, 3)))


def other_descriptions(crystal: Structure) -> dict[str, Structure]:
    """Return the same crystal, described otherwise."""
    sheared = np.array([[1, 0, 0], [3, 1, 0], [-1, 2, 1]])
    turned = Lattice(crystal.lattice.matrix @ np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0])
    return {
        "supercell": crystal.copy().make_supercell([2, 1, 2], in_place=False),
        "sheared cell": crystal.copy().make_supercell(sheared, in_place=False),
        "translated": Structure(crystal.lattice, crystal.species, np.add(crystal.frac_coords, [0.13, 0.57, 0.91])),
        "permuted": Structure.from_sites([crystal[i] for i in (2, 0, 3, 1)]),
        "turned or mirrored": Structure(turned, crystal.species, crystal.frac_coords),
        "niggli cell": crystal.get_reduced_structure(),
    }


@pytest.mark.parametrize("name", list(other_descriptions(triclinic())))
def test_prediction_does_not_depend_on_the_description(network: CGCNN, name: str) -> None:
    crystal = triclinic()
    # float32 sums in another order; the outputs are of order 0.1
    one, other = outputs(network, [crystal, other_descriptions(crystal)[name]])
    np.testing.assert_allclose(other, one, atol=1e-5)


def test_batch_of_one_equals_batch_of_many(network: CGCNN) -> None:
    crystals = [triclinic(seed, n) for seed, n in enumerate((4, 1, 3, 2))]
    together = outputs(network, crystals)
    alone = np.concatenate([outputs(network, [crystal]) for crystal in crystals])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert np.ptp(together, axis=0).min() > 1e-4  # different crystals do differ


def test_prediction_is_smooth_where_a_neighbour_enters_the_cut_off(network: CGCNN) -> None:
    cutoff = network.config.cutoff
    inside, outside = (
        Structure(Lattice.orthorhombic(a, 20, 20), ["Ti"], [[0, 0, 0]]) for a in (cutoff - 1e-3, cutoff + 1e-3)
    )
    a, b = outputs(network, [inside, outside])
    np.testing.assert_allclose(a, b, atol=1e-5)


def test_swapping_two_species_changes_the_prediction(network: CGCNN) -> None:
    sites = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    one, two = (Structure(Lattice.cubic(4), [*ab, "O", "O", "O"], sites) for ab in (("Pb", "Ti"), ("Ti", "Pb")))
    a, b = outputs(network, [one, two])
    assert np.abs(a - b).max() > 1e-3


def test_descriptors_place_the_elements() -> None:
    table = element_descriptors()
    assert np.isfinite(table).all()
    np.testing.assert_array_equal(table[0], 0)
    period, group = table[1:, 0], table[1:, 1]
    assert period[10] == period[16] > period[2]  # Na, Cl, Li
    assert group[10] == group[2] == group[54]  # Na, Li, Cs
    assert len(np.unique(table[1:], axis=0)) == len(table) - 1


def settings(**options: object) -> TrainSettings:
    base = {
        "network": "cgcnn",
        "targets": [TARGET],
        "device": "cpu",
        "optimiser": {"max_epochs": 30, "batch_size": 8, "learning_rate": 5e-3},
        "options": {"members": 2, "width": 16, "hidden": 16},
    }
    return TrainSettings(**(base | options))  # type: ignore[arg-type]


def test_missing_targets_do_not_count(dataset: Dataset) -> None:
    values = dataset.values(TARGET).copy()
    train_part = dataset.part("train")
    values[train_part[1]] = np.nan
    partial = Dataset(dataset.crystals, {TARGET: values, "other": values * 2}, dataset.split)
    task = CGCNNTask.build(settings(targets=[TARGET, "other"]), partial, torch.device("cpu"))
    assert task.n_train == len(train_part) - 1  # a crystal of which nothing is known is left out
    task.values["train"][1] = torch.nan
    generator = torch.Generator().manual_seed(0)
    known, _ = task.loss(np.array([0, 2]), generator, 0.0)
    mixed, _ = task.loss(np.array([0, 1, 2]), generator, 0.0)
    only_missing, _ = task.loss(np.array([1]), generator, 0.0)
    assert mixed.item() == pytest.approx(known.item(), rel=1e-5)
    assert only_missing.item() == 0.0
    only_missing.backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in task.module.parameters())


def test_loss_is_the_huber_loss(dataset: Dataset) -> None:
    without = {"members": 2, "width": 16, "hidden": 16, "error_head": False}
    task = CGCNNTask.build(settings(options=without), dataset, torch.device("cpu"))
    with torch.no_grad():
        for parameter in task.module.parameters():
            parameter.zero_()
    loss, _ = task.loss(np.arange(5), torch.Generator(), 0.0)
    values = dataset.values(TARGET)[dataset.part("train")]
    error = np.abs((values[:5] - values.mean()) / values.std())
    by_hand = np.where(error < 0.1, 0.5 * error**2 / 0.1, error - 0.05)
    assert loss.item() == pytest.approx(2 * by_hand.mean(), rel=1e-5)  # two members


def test_expected_errors_change_no_prediction(dataset: Dataset) -> None:
    """Their gradient ends at the layers that expect them; those have none from the predictions."""
    task = CGCNNTask.build(settings(), dataset, torch.device("cpu"))
    whole, _ = task.loss(np.arange(8), torch.Generator(), 0.0)
    whole.backward()
    with_head = {name: p.grad.clone() for name, p in task.module.named_parameters()}
    task.module.zero_grad()
    for member in task.module.members:
        member.error = None
    task.module.config = task.module.config.model_copy(update={"error_head": False})
    alone, _ = task.loss(np.arange(8), torch.Generator(), 0.0)
    alone.backward()
    without = {name: p.grad for name, p in task.module.named_parameters()}
    for name, grad in without.items():
        torch.testing.assert_close(grad, with_head[name])
    heads = {name: grad for name, grad in with_head.items() if ".error." in name}
    assert heads
    assert all(grad.abs().max() > 0 for grad in heads.values())


def test_what_scatters_is_expected_to(tmp_path: Path) -> None:
    """The target of chlorides is their lattice constant, that of bromides is drawn: a single member knows which."""
    rng = np.random.default_rng(0)
    constants, bromide = rng.uniform(3.0, 4.5, 480), np.arange(480) % 2 == 1
    structures = [
        Structure(Lattice.cubic(a), ["Cs", "Br" if other else "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
        for a, other in zip(constants, bromide, strict=True)
    ]
    values = np.where(bromide, rng.choice([-1.0, 1.0], 480), (constants - 3.75) / 0.43)
    split = np.repeat([0, 1, 2], [360, 60, 60])
    data = Dataset(Crystals.from_structures(structures), {TARGET: values}, split)
    data.write(tmp_path / "dataset.h5")
    options = {"members": 1, "width": 16, "hidden": 16}
    fitting = {"max_epochs": 25, "batch_size": 16, "learning_rate": 5e-3}
    report = Report("train", tmp_path, quiet=True)
    train(settings(options=options, optimiser=fitting), report)
    doubt = predict(data.crystals, tmp_path / "model.safetensors").uncertainty[TARGET]
    test = split == 2
    assert doubt[test & bromide].mean() > 3 * doubt[test & ~bromide].mean()
    assert doubt[test & bromide].mean() == pytest.approx(1, abs=0.4)
    assert report.scalars[f"test_within_2_sigma_{TARGET}"] > 0.8
    options["error_head"] = False
    short = {**fitting, "max_epochs": 1}
    train(settings(options=options, optimiser=short, checkpoint="other", output="without.safetensors"), report)
    assert np.isnan(predict(data.crystals, tmp_path / "without.safetensors").uncertainty[TARGET]).all()


def test_a_member_does_not_learn_what_it_is_tested_on(dataset: Dataset) -> None:
    """Each leaves another eighth out, and an error there moves nothing but the layers that expect errors."""
    many = np.arange(len(dataset)).repeat(1 + 300 // len(dataset))
    properties = {name: column[many] for name, column in dataset.properties.items()}
    data = Dataset(dataset.crystals.take(many), properties, dataset.split[many])
    task = CGCNNTask.build(settings(), data, torch.device("cpu"))
    assert task.held.float().mean(dim=1).tolist() == pytest.approx([1 / 8, 1 / 8], abs=0.01)
    assert not (task.held[0] & task.held[1]).any()
    left_out = np.flatnonzero(task.held[0].numpy())
    loss, _ = task.loss(left_out, torch.Generator(), 0.0)
    loss.backward()
    first = dict(task.module.members[0].named_parameters())
    assert all(p.grad is None or p.grad.abs().max() == 0 for n, p in first.items() if not n.startswith("error."))
    assert all(p.grad.abs().max() > 0 for n, p in first.items() if n.startswith("error."))
    second = dict(task.module.members[1].named_parameters())
    assert second["readout.0.weight"].grad.abs().max() > 0


def test_learns_what_follows_from_the_sites(dataset: Dataset, tmp_path: Path) -> None:
    dataset.write(tmp_path / "dataset.h5")
    report = Report("train", tmp_path, quiet=True)
    train(settings(), report)
    spread = dataset.values(TARGET).std()
    assert report.scalars[f"test_mae_{TARGET}"] < 0.5 * spread
    model = tmp_path / "model.safetensors"
    prediction = predict(dataset.crystals, model)
    assert prediction.reasons == [None] * len(dataset)
    test = dataset.part("test")
    error = np.abs(prediction.values[TARGET] - dataset.values(TARGET))[test].mean()
    assert error == pytest.approx(report.scalars[f"test_mae_{TARGET}"], rel=1e-4)
    assert (prediction.uncertainty[TARGET] > 0).all()
    assert read_header(model).config["elements"] == [8, 9, 12, 13, 20, 22, 38, 56]
    # the fingerprint of the training part lies beside the model
    assert len(read_fingerprint(tmp_path / "fingerprint.h5")) == len(dataset.part("train"))
    strange = Crystals.from_structures([triclinic(), next(dataset.crystals.structures())])
    prediction = predict_all(strange, [str(model), str(model)])
    assert np.isnan(prediction.values[TARGET][0])
    assert "Cl, Pb: not among the elements" in str(prediction.reasons[0])
    assert np.isfinite(prediction.values[TARGET][1])


def test_nothing_to_predict_is_refused(dataset: Dataset) -> None:
    with pytest.raises(StageError, match="the dataset has formation_energy_per_atom") as raised:
        CGCNNTask.build(settings(targets=[]), dataset, torch.device("cpu"))
    assert raised.value.status == "settings_rejected"


def test_a_target_without_spread_is_refused(dataset: Dataset) -> None:
    flat = Dataset(dataset.crystals, {TARGET: np.full(len(dataset), 2.0)}, dataset.split)
    with pytest.raises(StageError, match="nothing can be learned"):
        CGCNNTask.build(settings(), flat, torch.device("cpu"))


def test_weights_of_another_shape_are_refused(tmp_path: Path, network: CGCNN) -> None:
    config = network.config.model_dump() | {"width": 32}
    save_model(tmp_path / "m.safetensors", ModelHeader("cgcnn", config, {}), network.state_dict())
    with pytest.raises(ModelFileError, match="disagree"):
        predict(Crystals.from_structures([triclinic()]), tmp_path / "m.safetensors")


def test_calibration_finds_factor_and_floor() -> None:
    generator = torch.Generator().manual_seed(0)
    spread = torch.rand(20_000, generator=generator)
    sigma = torch.sqrt((2 * spread) ** 2 + 0.3**2)
    factor, floor = calibrate(torch.randn(20_000, generator=generator) * sigma, spread)
    assert factor == pytest.approx(2, abs=0.15)
    assert floor == pytest.approx(0.3, abs=0.1)


def test_graph_moves_as_a_whole() -> None:
    graph = GraphStore(Crystals.from_structures([triclinic()]), 5.0, "cpu").graph(np.array([0]))
    moved = graph.to("meta")
    assert isinstance(moved, CrystalGraph)
    assert all(tensor.device.type == "meta" for tensor in moved[:5])
    assert moved.size == 1
