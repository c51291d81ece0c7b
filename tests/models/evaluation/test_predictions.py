"""Figures that need a predictor: Wasserstein distance of a property and the deviation from a target."""

import csv
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from icsg3d_models.cli import main
from icsg3d_models.conditions import CONDITIONS
from icsg3d_models.crystals.batch import Crystals, write_crystals
from icsg3d_models.crystals.elements import NUMBER
from icsg3d_models.networks.cgcnn import CGCNN, CGCNNConfig
from icsg3d_models.networks.model_file import ModelHeader, save_model
from icsg3d_models.networks.voxelnet import VoxelNet, VoxelNetConfig
from icsg3d_models.properties.predict import predict
from tests.models.evaluation.crystals_by_hand import joined, perovskites


@pytest.fixture(params=["cgcnn", "voxelnet"])
def predictor(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An untrained network that knows a few elements."""
    torch.manual_seed(0)
    known = sorted(NUMBER[s] for s in ("Sr", "Ba", "Ti", "Zr", "O", "Cs", "F"))
    common = {"targets": ["gap", "heat"], "elements": known, "members": 1, "width": 8}
    network: CGCNN | VoxelNet
    if request.param == "cgcnn":
        network = CGCNN(CGCNNConfig(**common, convolutions=1, hidden=8))  # type: ignore[arg-type]
    else:
        network = VoxelNet(VoxelNetConfig(**common, size=8, hidden=(8,)))  # type: ignore[arg-type]
    path = tmp_path / "model.safetensors"
    save_model(path, ModelHeader(request.param, network.config.model_dump(), {}), network.state_dict())
    return path


def write(path: Path, crystals: Crystals) -> None:
    with h5py.File(path, "w") as file:
        write_crystals(file.create_group("crystals"), crystals)


def evaluate(folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: object) -> dict:
    chosen = {"threads": 1, "reference": "truth.h5", "predictors": ["model.safetensors"], **settings}
    (folder / "settings.json").write_text(json.dumps(chosen))
    monkeypatch.chdir(folder)
    main(["evaluate", "settings.json"])
    return json.loads((folder / "results.json").read_text())


def test_figures_are_those_of_the_valid_samples(
    tmp_path: Path, predictor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, truth = perovskites("Sr Ti O", "Ba Ti O", "Cs Cs F"), perovskites("Sr Zr O", "Ba Zr O", a=4.2)
    free = perovskites("Sr Ti O", "Sr Zr O", a=3.8)
    for name, batch in {"crystals.h5": made, "truth.h5": truth, "free.h5": free}.items():
        write(tmp_path / name, batch)
    results = evaluate(tmp_path, monkeypatch, predicted_property="heat", target=0.3, unconditioned="free.h5")
    assert results["status"] == "completed", results["message"]
    mine, theirs, loose = (predict(b, predictor).values["heat"] for b in (made.take([0, 1]), truth, free))
    found = results["scalars"]
    # two values against two: the mean distance of the sorted ones
    assert found["wasserstein_property"] == pytest.approx(np.abs(np.sort(mine) - np.sort(theirs)).mean(), rel=1e-5)
    assert found["target_deviation"] == pytest.approx(np.abs(mine - 0.3).mean(), rel=1e-5)
    assert found["unconditioned_target_deviation"] == pytest.approx(np.abs(loose - 0.3).mean(), rel=1e-5)
    assert found["reference_wasserstein_property"] == 0
    assert "| samples of which nothing was asked |" in (tmp_path / "evaluation.md").read_text()


@pytest.mark.parametrize(
    ("formula", "name", "words"), [("K Nb O", "heat", "K, Nb"), ("Sr Ti O", "hardness", "they have gap, heat")]
)
def test_what_cannot_be_predicted_is_named(
    tmp_path: Path, predictor: Path, monkeypatch: pytest.MonkeyPatch, formula: str, name: str, words: str
) -> None:
    write(tmp_path / "crystals.h5", joined(perovskites(formula)))
    write(tmp_path / "truth.h5", perovskites("Sr Zr O"))
    results = evaluate(tmp_path, monkeypatch, predicted_property=name)
    assert results["status"] == "input_incompatible"
    assert words in results["message"]


def test_one_crystal_that_no_model_knows_does_not_cost_the_others(
    tmp_path: Path, predictor: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "crystals.h5", perovskites("Sr Ti O", "K Nb O", "Ba Ti O"))
    write(tmp_path / "truth.h5", perovskites("Sr Zr O", "Ba Zr O"))
    results = evaluate(tmp_path, monkeypatch, predicted_property="heat")
    assert results["status"] == "completed", results["message"]
    reason = "K, Nb: not among the elements that model.safetensors knows"
    assert results["tables"]["left_out"] == [{"id": "p1", "where": "heat of the samples", "reason": reason}]
    assert "heat of the samples: 1 of 3 crystals left out: p1: K, Nb" in capsys.readouterr().err
    assert "1 of 3 crystals left out" in (tmp_path / "evaluation.md").read_text()
    kept = perovskites("Sr Ti O", "Ba Ti O")
    mine, theirs = (np.sort(predict(b, predictor).values["heat"]) for b in (kept, perovskites("Sr Zr O", "Ba Zr O")))
    assert results["scalars"]["wasserstein_property"] == pytest.approx(np.abs(mine - theirs).mean(), rel=1e-5)


def test_samples_that_gave_no_crystal_fulfil_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, free = perovskites("Sr Ti O", "Ba Ti O", "Cs Cs F"), perovskites("Sr Ti O", "Sr Zr O", a=3.8)
    for name, batch in {"crystals.h5": made, "truth.h5": perovskites("Sr Zr O"), "free.h5": free}.items():
        write(tmp_path / name, batch)
    asked = {"elements": ["Sr", "Ti", "O", "F"], "crystal_system": "cubic"}
    results = evaluate(tmp_path, monkeypatch, predictors=[], samples=4, unconditioned="free.h5", **asked)
    assert results["status"] == "completed", results["message"]
    found = results["scalars"]
    assert found["fulfilled_elements"] == found["fulfilled"] == 1 / 4
    assert found["fulfilled_crystal_system"] == 3 / 4
    assert found["unconditioned_fulfilled"] == 1 / 2
    rows = list(csv.DictReader((tmp_path / "evaluation.csv").open()))
    assert [row["as_asked"] for row in rows] == ["True", "False", "False"]
    assert "asked for: elements" in (tmp_path / "evaluation.md").read_text()


def test_every_condition_can_be_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that came last: each has a figure, with a label."""
    write(tmp_path / "crystals.h5", perovskites("Sr Ti O", "Sr Zr O"))
    write(tmp_path / "truth.h5", perovskites("Sr Zr O"))
    asked = {
        "elements": ["Sr", "Ti", "O"], "composition": "SrTiO3", "n_atoms": 5, "crystal_system": "cubic",
        "space_group": 221, "density": 4.76,
    }  # fmt: skip
    assert {*asked, "anonymous_formula"} == {condition.name for condition in CONDITIONS}
    results = evaluate(tmp_path, monkeypatch, predictors=[], **asked)
    assert results["status"] == "completed", results["message"]
    shares = {name: results["scalars"][f"fulfilled_{name}"] for name in asked}
    assert shares == {**dict.fromkeys(asked, 0.5), "n_atoms": 1.0, "crystal_system": 1.0, "space_group": 1.0}
    assert "space group as asked for" in (tmp_path / "evaluation.md").read_text()


def test_a_reconstruction_was_not_asked_for_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = evaluate(tmp_path, monkeypatch, predictors=[], mode="reconstruction", n_atoms=5)
    assert results["status"] == "settings_rejected"
    assert "n_atoms: asked of new crystals" in results["message"]
