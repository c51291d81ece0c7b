"""Fine-tuning: a training that starts from a model keeps what gives its weights their meaning, and goes on."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from icsg3d_models.conditions.target import target_name
from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.data.datasets import Dataset
from icsg3d_models.networks.local_vae import LocalVAE
from icsg3d_models.networks.model_file import ModelFileError, file_hash, load_weights, read_header
from icsg3d_models.networks.registry import load_network
from icsg3d_models.results import Report, StageError
from icsg3d_models.settings import TrainSettings
from icsg3d_models.training.train import run
from tests.models.conftest import perovskites

HEAT, OTHER = "formation_energy_per_atom", "formation_energy_per_atom@LDA-0a1b2c3d"
STILL = {"max_epochs": 1, "batch_size": 8, "learning_rate": 1e-12, "weight_decay": 0.0}
SMALL: dict[str, dict[str, Any]] = {
    "unet": {"options": {"width": 8}},
    "vae": {"options": {"width": 8, "latent": 8}, "unet": "unet.safetensors"},
    "prior": {"options": {"width": 16, "depth": 1}, "vae": "vae.safetensors", "targets": [HEAT]},
    "cgcnn": {"options": {"members": 2, "width": 8, "hidden": 8}, "targets": [HEAT]},
    "voxelnet": {"options": {"size": 8, "hidden": [8], "orientations": 2, "width": 4}, "targets": [HEAT]},
}


def train(folder: Path, network: str, **changes: Any) -> Report:
    """Train a small network in the folder."""
    upon = {key: SMALL[network][key] for key in ("unet", "vae") if key in SMALL[network]}
    shape = upon if "start_from" in changes else SMALL[network]
    common = {"network": network, "device": "cpu", "optimiser": {"max_epochs": 3, "batch_size": 8}, "threads": 1,
              "output": f"{network}.safetensors"}  # fmt: skip
    report = Report("train", folder)
    run(TrainSettings.model_validate({**common, **shape, **changes}), report)
    return report


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a dataset and a model of each network."""
    folder = tmp_path_factory.mktemp("trained")
    perovskites().write(folder / "dataset.h5")
    for network in SMALL:
        train(folder, network)
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """Return a copy of the folder to spoil."""
    shutil.copytree(trained, tmp_path / "here")
    return tmp_path / "here"


@pytest.mark.parametrize("network", list(SMALL))
def test_without_steps_to_speak_of_the_model_stays_as_it_was(folder: Path, network: str) -> None:
    """Other crystals, whose statistics differ, change neither weights nor what they are counted in."""
    other = perovskites(seed=5)
    other.properties[HEAT][:] = 7 * other.properties[HEAT] - 3
    other.write(folder / "other.h5")
    before = folder / f"{network}.safetensors"
    train(folder, network, start_from=before.name, output="after.safetensors", dataset="other.h5", optimiser=STILL)
    old, new = load_weights(before), load_weights(folder / "after.safetensors")
    calibrated = {"spread", "floor"}  # of the uncertainty, on the validation part
    data = {"kept_elements", "kept_targets", "latent_std"} | calibrated  # what follows from the crystals
    assert old.keys() == new.keys()
    for name in old.keys() - data:
        torch.testing.assert_close(new[name], old[name], rtol=0, atol=1e-6)
    assert network == "vae" or {"latent_std"}.isdisjoint(old)
    headers = [read_header(path) for path in (before, folder / "after.safetensors")]
    free = {"examples", "example_elements"}
    first, second = ({k: v for k, v in header.config.items() if k not in free} for header in headers)
    assert first == second
    told = headers[1].card["fine_tuned_from"]
    assert told["sha256"] == headers[1].card["inputs"]["start_from"] == file_hash(before)
    assert told["data"] == headers[0].card["data"]
    assert told["data"]["content_hash"] != headers[1].card["data"]["content_hash"]
    assert told["earlier"] == []
    assert told["validation"]["loss"] == pytest.approx(headers[1].card["validation"]["loss"], rel=1e-4)


def test_networks_of_a_spacing_start_from_one_of_theirs(tmp_path: Path) -> None:
    """The cells and latents of the new crystals are counted as those of the old ones."""
    perovskites(24).write(tmp_path / "dataset.h5")
    perovskites(24, seed=2).write(tmp_path / "other.h5")
    chain: dict[str, dict[str, Any]] = {
        "unet": {"options": {"spacing": 0.5, "width": 8}},
        "vae": {"options": {"width": 8, "channels": 4}, "unet": "unet.safetensors"},
        "prior": {"options": {"width": 8, "depth": 1, "lattice_width": 8}, "vae": "vae.safetensors"},
    }
    common = {"device": "cpu", "threads": 1, "optimiser": {"max_epochs": 1, "batch_size": 8}}
    for network, shape in chain.items():
        given = {**common, "network": network, "output": f"{network}.safetensors", **shape}
        run(TrainSettings.model_validate(given), Report("train", tmp_path))
    for network, shape in chain.items():
        upon = {key: value for key, value in shape.items() if key != "options"}
        start = {"start_from": f"{network}.safetensors", "output": f"new_{network}.safetensors", "dataset": "other.h5"}
        given = {**common, "network": network, **upon, **start, "optimiser": STILL}
        run(TrainSettings.model_validate(given), Report("train", tmp_path))
        old, new = (load_weights(tmp_path / f"{which}{network}.safetensors") for which in ("", "new_"))
        for name in old.keys() - {"latent_std", "kept_examples", "kept_symmetry"}:  # which follow from the crystals
            torch.testing.assert_close(new[name], old[name], rtol=0, atol=1e-6)
        configs = [read_header(tmp_path / f"{which}{network}.safetensors").config for which in ("", "new_")]
        of_data = ("patterns", "examples", "example_kinds")
        assert {k: v for k, v in configs[0].items() if k not in of_data} == {
            k: v for k, v in configs[1].items() if k not in of_data
        }
    grid = {**common, "network": "unet", "output": "grid.safetensors", "options": {"width": 8}}
    run(TrainSettings.model_validate(grid), Report("train", tmp_path))
    other = {**common, "network": "vae", "unet": "grid.safetensors", "start_from": "vae.safetensors"}
    with pytest.raises(StageError, match="the network before it has a `grid`"):
        run(TrainSettings.model_validate(other), Report("train", tmp_path))


def with_barium_as_lead(data: Dataset) -> Dataset:
    """Return a dataset with an element that the made-up perovskites do not have."""
    numbers = np.where(data.crystals.numbers == 56, 82, data.crystals.numbers)
    return replace(data, crystals=replace(data.crystals, numbers=numbers))


def test_models_grow_by_elements_and_conditions(tmp_path: Path) -> None:
    """Latents stay, where the encoder is kept; the prior learns a target, and its cells anew."""
    perovskites(24).write(tmp_path / "dataset.h5")
    with_barium_as_lead(perovskites(24, seed=2)).write(tmp_path / "other.h5")
    chain: dict[str, dict[str, Any]] = {
        "unet": {"options": {"spacing": 0.5, "width": 8}},
        "vae": {"options": {"width": 8, "channels": 4}, "unet": "unet.safetensors"},
        "prior": {"options": {"width": 8, "depth": 1, "lattice_width": 8}, "vae": "vae.safetensors",
                  "conditions": ["elements", "composition"]},
    }  # fmt: skip
    common = {"device": "cpu", "threads": 1, "optimiser": {"max_epochs": 1, "batch_size": 8}}
    for network, shape in chain.items():
        given = {**common, "network": network, "output": f"{network}.safetensors", **shape}
        run(TrainSettings.model_validate(given), Report("train", tmp_path))
    more: dict[str, dict[str, Any]] = {
        "unet": {},
        "vae": {"unet": "new_unet.safetensors", "options": {"keep_latents": True}},
        "prior": {"vae": "new_vae.safetensors", "targets": [HEAT], "options": {"lattice_width": 16},
                  "conditions": ["elements", "composition", "n_atoms"]},
    }  # fmt: skip
    for network, changes in more.items():
        start = {"start_from": f"{network}.safetensors", "output": f"new_{network}.safetensors", "dataset": "other.h5"}
        given = {**common, "network": network, **start, **changes}
        with pytest.raises(StageError, match=r"does not know Pb|has other elements|leave .* out|lattice_width 16"):
            run(TrainSettings.model_validate(given), Report("train", tmp_path))
        run(TrainSettings.model_validate({**given, "grow": True}), Report("train", tmp_path))
        assert 82 in read_header(tmp_path / f"new_{network}.safetensors").config["elements"]
    old, new = (load_weights(tmp_path / f"{which}vae.safetensors") for which in ("", "new_"))
    encoder = [name for name in old if name.partition(".")[0] in LocalVAE.encoder_parts]
    assert encoder
    assert all(torch.equal(old[name], new[name]) for name in encoder)
    assert not torch.equal(old["occupancy_head.weight"], new["occupancy_head.weight"])
    config = read_header(tmp_path / "new_prior.safetensors").config
    assert [block["name"] for block in config["conditions"]] == [
        "elements", "composition", "n_atoms", f"target {HEAT}",
    ]  # fmt: skip
    assert config["lattice_width"] == 16
    assert config["examples"] > 0


def shifted(shift: float, slope: float, n: int = 12) -> Dataset:
    """Return the made-up perovskites; a few of the training part have another energy, linear in the first."""
    dataset = perovskites()
    other = np.full(len(dataset), np.nan)
    some = dataset.part("train")[:n]
    other[some] = slope * dataset.properties[HEAT][some] + shift
    properties = {**dataset.properties, OTHER: other}
    return Dataset(dataset.crystals, properties, dataset.split, dataset.units, dataset.name)


def errors(path: Path, dataset: Dataset, wanted: np.ndarray, rows: np.ndarray) -> float:
    """Return the mean absolute error of the first target of a model."""
    module = load_network(path, "cgcnn", torch.device("cpu"))
    from icsg3d_models.properties.graph_batches import GraphStore

    store = GraphStore(dataset.crystals.take(rows), module.config.cutoff, torch.device("cpu"))
    with torch.no_grad():
        found = torch.cat([module.predict(batch)[0] for _, batch in store.batches()])[:, 0]
    return float(np.abs(found.numpy() - wanted[rows]).mean())


def test_another_energy_is_learned_from_few_crystals(tmp_path: Path) -> None:
    """Twelve values of another zero: who knows the first energy predicts the rest, one from nothing cannot."""
    dataset = shifted(-2.0, 1.0)
    dataset.write(tmp_path / "dataset.h5")
    first = {"max_epochs": 60, "batch_size": 8, "learning_rate": 3e-3}
    train(tmp_path, "cgcnn", optimiser=first)
    few = {"max_epochs": 10, "batch_size": 8, "learning_rate": 1e-3}
    report = train(tmp_path, "cgcnn", start_from="cgcnn.safetensors", targets_from={HEAT: OTHER}, optimiser=few,
                   output="tuned.safetensors")  # fmt: skip
    fresh = {"targets": [OTHER], "split": None}
    alone = Dataset(dataset.crystals.take(dataset.part("train")[:12]),
                    {OTHER: dataset.properties[OTHER][dataset.part("train")[:12]]},
                    np.zeros(12, dtype=np.uint8), {}, "few")  # fmt: skip
    alone.write(tmp_path / "few.h5")
    train(tmp_path, "cgcnn", dataset="few.h5", targets=fresh["targets"], optimiser=few, output="fresh.safetensors")
    truth = dataset.properties[HEAT] - 2.0
    unseen = np.flatnonzero(np.isnan(dataset.properties[OTHER]))
    tuned, scratch = (errors(tmp_path / f"{name}.safetensors", dataset, truth, unseen) for name in ("tuned", "fresh"))
    assert tuned < 0.5 * scratch
    card = read_header(tmp_path / "tuned.safetensors", "cgcnn").card
    assert card["fine_tuned_from"]["shifts"][OTHER] == pytest.approx(-2.0, abs=0.1)
    assert card["fine_tuned_from"]["targets"] == [HEAT]
    assert read_header(tmp_path / "tuned.safetensors", "cgcnn").config["targets"] == [OTHER]
    assert report.tables["fine_tuned_from"]["sha256"] == file_hash(tmp_path / "cgcnn.safetensors")


def test_loss_of_new_data_falls_further_than_from_nothing(folder: Path) -> None:
    """The same few steps of a U-Net on crystals that it has not seen."""
    perovskites(seed=3).write(folder / "new.h5")
    few = {"max_steps": 4, "batch_size": 8}
    tuned = train(
        folder, "unet", start_from="unet.safetensors", dataset="new.h5", optimiser=few, output="a.safetensors"
    )
    fresh = train(folder, "unet", dataset="new.h5", optimiser=few, output="b.safetensors")
    assert tuned.scalars["validation_loss"] < fresh.scalars["validation_loss"]


def test_a_checkpoint_goes_before_the_model(folder: Path) -> None:
    """A training that was cut off goes on where it was, and its card still names the model it began with."""
    whole = train(folder, "cgcnn", start_from="cgcnn.safetensors", output="whole.safetensors")
    shutil.rmtree(folder / "checkpoint")
    with pytest.raises(StageError, match="deadline"):
        train(folder, "cgcnn", start_from="cgcnn.safetensors", output="part.safetensors", deadline_seconds=1e-9)
    rest = train(folder, "cgcnn", start_from="cgcnn.safetensors", output="part.safetensors", resume_from="checkpoint")
    one, two = (load_weights(folder / f"{name}.safetensors") for name in ("whole", "part"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert whole.tables["fine_tuned_from"] == rest.tables["fine_tuned_from"]


def test_a_target_of_several_is_taken_alone(folder: Path) -> None:
    """The readout of the target that is continued, and no other."""
    dataset = shifted(0.5, 1.0, n=20)
    gap = np.linspace(0, 3, len(dataset))
    both = Dataset(dataset.crystals, {**dataset.properties, "band_gap": gap}, dataset.split, {}, "two")
    both.write(folder / "two.h5")
    train(folder, "cgcnn", dataset="two.h5", targets=["band_gap", HEAT], output="two.safetensors")
    train(folder, "cgcnn", dataset="two.h5", start_from="two.safetensors", targets_from={HEAT: OTHER},
          targets=[OTHER], output="one.safetensors", optimiser=STILL)  # fmt: skip
    old, new = load_weights(folder / "two.safetensors"), load_weights(folder / "one.safetensors")
    torch.testing.assert_close(new["members.0.readout.3.weight"], old["members.0.readout.3.weight"][1:])
    torch.testing.assert_close(new["scale"], old["scale"][1:])
    shift = read_header(folder / "one.safetensors").card["fine_tuned_from"]["shifts"][OTHER]
    assert float(new["mean"][0] - old["mean"][1]) == pytest.approx(shift, abs=1e-5)


@pytest.mark.parametrize(
    ("network", "changes", "message"),
    [
        ("cgcnn", {"start_from": "unet.safetensors"}, "holds a unet network where a cgcnn is needed"),
        ("cgcnn", {"start_from": "cgcnn.safetensors", "options": {"width": 16}}, r"width 16 \(the model has 8\)"),
        ("cgcnn", {"start_from": "cgcnn.safetensors", "targets": ["gap"]}, "gap; the model to start from predicts"),
        ("cgcnn", {"start_from": "cgcnn.safetensors", "targets_from": {"gap": OTHER}}, "`targets_from`: gap"),
        ("prior", {"start_from": "prior.safetensors", "targets": ["gap"]}, "the dataset has formation_energy_per_atom"),
        ("prior", {"start_from": "prior.safetensors", "conditions": ["density"]}, "was trained with elements"),
        ("prior", {"start_from": "prior.safetensors", "vae": "other.safetensors"}, "neither this one nor one"),
        ("vae", {"start_from": "vae.safetensors", "unet": "coarse.safetensors"}, "has other grid"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_refused(folder: Path, network: str, changes: dict[str, Any], message: str) -> None:
    if changes.get("vae"):
        train(folder, "vae", output="other.safetensors", seed=9)
    if changes.get("unet"):
        train(folder, "unet", output="coarse.safetensors", options={"width": 8, "grid": 8})
    with pytest.raises((StageError, ModelFileError, ValueError), match=message):
        train(folder, network, **changes)


def test_an_element_that_the_model_does_not_know_is_refused(folder: Path) -> None:
    sites = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])
    crystals = Crystals.from_arrays([4 * np.eye(3)] * 2, [sites] * 2, [np.array([55, 17])] * 2, ["a", "b"])
    Dataset(crystals, {HEAT: np.array([0.1, 0.3])}, np.zeros(2, dtype=np.uint8), {}, "salt").write(folder / "salt.h5")
    for network in SMALL:
        if network in ("vae",):  # its U-Net says it first
            continue
        with pytest.raises(StageError, match="does not know Cl, Cs"):
            train(folder, network, start_from=f"{network}.safetensors", dataset="salt.h5")


def test_a_prior_follows_a_vae_that_was_fine_tuned(folder: Path) -> None:
    """Its latents are nearly those that the prior knows; those of another VAE are not."""
    train(folder, "vae", start_from="vae.safetensors", output="new.safetensors", optimiser=STILL)
    train(folder, "vae", start_from="new.safetensors", output="newer.safetensors", optimiser=STILL)
    chain = read_header(folder / "newer.safetensors").card["fine_tuned_from"]
    assert [chain["sha256"], *chain["earlier"]] == [
        file_hash(folder / "new.safetensors"), file_hash(folder / "vae.safetensors")
    ]  # fmt: skip
    train(folder, "prior", start_from="prior.safetensors", vae="newer.safetensors", output="p.safetensors")
    config = read_header(folder / "p.safetensors").config
    assert config["vae_sha256"] == file_hash(folder / "newer.safetensors")


def test_a_prior_learns_of_data_that_lack_its_target(folder: Path) -> None:
    """Crystals that DFT found have no heat of another data set; the target stays one that can be asked for."""
    dataset = perovskites(24, seed=4)
    Dataset(dataset.crystals, {}, dataset.split, {}, "found").write(folder / "found.h5")
    report = train(folder, "prior", start_from="prior.safetensors", dataset="found.h5", output="p.safetensors")
    assert read_header(folder / "p.safetensors").config["targets"] == [HEAT]
    assert report.tables["notes"] == [
        f"the dataset has no {HEAT}: the prior is told nothing of it, and may forget what it knows"
    ]
    prior = load_network(folder / "p.safetensors", "prior", torch.device("cpu"))
    assert sum(len(batch.sample) for batch in prior.draw({target_name(HEAT): 0.1}, 4, 0)) == 4


def test_settings_that_need_a_model_say_so() -> None:
    with pytest.raises(ValueError, match="give that as `start_from`"):
        TrainSettings(network="cgcnn", targets_from={HEAT: OTHER})
    with pytest.raises(ValueError, match="that predict properties"):
        TrainSettings(network="vae", start_from="vae.safetensors", targets_from={HEAT: OTHER})
    with pytest.raises(ValueError, match="cannot become the same"):
        TrainSettings(network="cgcnn", start_from="a", targets_from={"a": OTHER, "b": OTHER})
