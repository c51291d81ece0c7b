"""The whole stage on small files."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from icsg3d_models.cli import main
from icsg3d_models.crystals.batch import Crystals, write_crystals
from icsg3d_models.data.datasets import Dataset
from icsg3d_models.workers import parallel_map
from tests.models.evaluation.crystals_by_hand import crystal, joined, perovskites


def write(path: Path, crystals: Crystals) -> None:
    with h5py.File(path, "w") as file:
        write_crystals(file.create_group("crystals"), crystals)


def evaluate(folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: object) -> dict[str, dict]:
    (folder / "settings.json").write_text(json.dumps({"threads": 1, **settings}))
    monkeypatch.chdir(folder)
    main(["evaluate", "settings.json"])
    return json.loads((folder / "results.json").read_text())


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Four training and three test crystals; the last one's composition is not valid (Sr 3+)."""
    crystals = joined(
        perovskites("Sr Ti O", "Ba Ti O", "Ca Ti O", "K Nb O"), perovskites("Sr Zr O", "Ba Zr O", "Sr Sr O")
    )
    made = Dataset(crystals, {}, np.array([0, 0, 0, 0, 2, 2, 2], dtype=np.uint8))
    made.write(tmp_path / "dataset.h5")
    return made


def test_reconstruction(tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "crystals.h5", dataset.crystals.take([6, 4]))  # the crystal c5 could not be rebuilt
    results = evaluate(tmp_path, monkeypatch, mode="reconstruction")
    assert results["status"] == "completed"
    found = results["scalars"]
    assert found["match_rate_not_gated"] == pytest.approx(2 / 3)
    assert found["match_rate"] == pytest.approx(1 / 3)
    assert found["reference_match_rate_not_gated"] == 1
    assert found["reference_match_rate"] == pytest.approx(2 / 3)  # the ceiling: the truth is not all valid
    assert found["species_accuracy"] == pytest.approx(2 / 3)
    assert found["volume_error"] == pytest.approx(0, abs=1e-9)
    assert found["match_rmse_angstrom"] == pytest.approx(0, abs=1e-6)
    assert results["counts"]["missing"] == 1
    table = (tmp_path / "evaluation.md").read_text()
    assert "| match rate, gated by validity | 33.33 | 66.67 | % | higher |" in table
    assert "smact14" in table
    rows = {row["id"]: row for row in csv.DictReader((tmp_path / "evaluation.csv").open())}
    assert rows["c5"]["rebuilt"] == "False"
    assert rows["c6"]["valid"] == "False"
    assert float(rows["c6"]["rms"]) == pytest.approx(0, abs=1e-6)


def test_a_true_crystal_that_cannot_be_used_is_left_out(
    tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = dataset.crystals.cell.copy()
    cell[5] = np.nan
    replace(dataset, crystals=replace(dataset.crystals, cell=cell)).write(tmp_path / "dataset.h5")
    made = dataset.crystals.take([4, 5, 6])
    write(tmp_path / "crystals.h5", replace(made, ids=("s000000", "s000001", "s000002")))
    results = evaluate(tmp_path, monkeypatch, mode="reconstruction", paired_by="order", fingerprint_gate=False)
    assert results["status"] == "completed", results["message"]
    assert results["counts"]["reference"] == 2
    assert results["scalars"]["match_rate_not_gated"] == 1  # s000002 is still the third of the file
    left_out = [(entry["id"], entry["where"]) for entry in results["tables"]["left_out"]]
    assert left_out == [("c5", "dataset.h5")]
    assert "c5: the cell or the coordinates hold NaN" in (tmp_path / "evaluation.md").read_text()


def test_a_sample_that_cannot_be_used_counts_as_one(
    tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = joined(dataset.crystals.take([0, 1, 2]), perovskites("Sr Ti O"))
    numbers = made.numbers.copy()
    numbers[-1] = 0
    write(tmp_path / "crystals.h5", replace(made, numbers=numbers))
    results = evaluate(tmp_path, monkeypatch)
    assert results["status"] == "completed", results["message"]
    assert (results["counts"]["asked"], results["counts"]["crystals"]) == (4, 3)
    assert results["scalars"]["structure_validity"] == 3 / 4


def test_reconstruction_paired_by_order(tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    # samples 0 and 2 of the test part c4, c5, c6; sample 1 was not rebuilt
    found = dataset.crystals.take([4, 6])
    write(tmp_path / "crystals.h5", replace(found, ids=("s000000", "s000002")))
    settings = {"mode": "reconstruction", "paired_by": "order", "fingerprint_gate": False}
    results = evaluate(tmp_path, monkeypatch, **settings)
    assert results["status"] == "completed"
    rows = {row["id"]: row["rms"] for row in csv.DictReader((tmp_path / "evaluation.csv").open())}
    assert rows["c5"] == ""
    assert [float(rows[name]) for name in ("c4", "c6")] == pytest.approx([0, 0], abs=1e-6)
    write(tmp_path / "crystals.h5", replace(found, ids=("s000002", "s000000")))  # the wrong way round
    assert evaluate(tmp_path, monkeypatch, **settings)["counts"]["matched"] == 0
    for wrong in ("s000003", "c6"):
        write(tmp_path / "crystals.h5", replace(found, ids=("s000000", wrong)))
        results = evaluate(tmp_path, monkeypatch, **settings)
        assert results["status"] == "input_incompatible"
        assert f"'{wrong}' is no sample of 3 true crystals, which are s000000 to s000002" in results["message"]


def test_generation(tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    # one of the training set, one of the test set twice, one that is not valid; a fifth sample failed
    write(tmp_path / "crystals.h5", joined(perovskites("Sr Ti O", "Sr Zr O", "Sr Zr O"), perovskites("Cs Cs F")))
    (tmp_path / "stable.csv").write_text("id,stable\nc0,true\nc1,true\nc3,false\n")
    results = evaluate(tmp_path, monkeypatch, samples=5, stability="stable.csv")
    assert results["status"] == "completed", results["message"]
    found = results["scalars"]
    assert found["rebuilt"] == 0.8
    assert found["structure_validity"] == 0.8
    assert found["composition_validity"] == pytest.approx(0.6)
    assert found["uniqueness"] == pytest.approx(3 / 5)
    assert found["novelty"] == pytest.approx(3 / 5)
    assert found["unique_and_novel"] == pytest.approx(2 / 5)
    assert found["sun"] == pytest.approx(1 / 5)
    assert found["novel_compositions"] == pytest.approx(2 / 3)
    assert found["reference_cov_recall"] == found["reference_cov_precision"] == 1
    assert found["reference_novelty"] == 1
    assert found["reference_composition_validity"] == pytest.approx(2 / 3)
    assert 0 < found["cov_precision"] <= 0.8
    document = json.loads((tmp_path / "evaluation.json").read_text())
    assert {row["name"] for row in document["figures"]} == {name for name in found if name in document_names(document)}
    assert document["conditions"]["samples"] == "5 asked for, 4 rebuilt, 3 valid"
    assert set(document["conditions"]["sha256"]) == {"crystals.h5", "dataset.h5", "stable.csv"}


def document_names(document: dict) -> set[str]:
    return {row["name"] for row in document["figures"]}


def test_same_seed_same_numbers(tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "crystals.h5", dataset.crystals.take([0, 1, 4, 5]))
    options = {"property_samples": 2, "novelty_samples": 2, "seed": 3}
    first = evaluate(tmp_path, monkeypatch, **options)["scalars"]
    assert evaluate(tmp_path, monkeypatch, **options)["scalars"] == first


@pytest.mark.parametrize(
    ("settings", "status", "words"),
    [
        ({"crystals": "nowhere.h5"}, "input_missing", "nowhere.h5"),
        ({"samples": 1}, "input_incompatible", "2 crystals from 1 samples"),
        ({"mode": "reconstruction", "part": "train"}, "input_incompatible", "c4"),
        ({"target": 0.1}, "settings_rejected", "predictors"),
        ({"paired_by": "order"}, "settings_rejected", "reconstruction"),
        ({"stability": "flags.csv"}, "input_incompatible", "perhaps"),
        ({"cutoffs": "perov5"}, "settings_rejected", "perov_5"),
    ],
)
def test_bad_input_is_named(
    tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch, settings: dict, status: str, words: str
) -> None:
    write(tmp_path / "crystals.h5", dataset.crystals.take([4, 5]))
    (tmp_path / "flags.csv").write_text("id,stable\nc4,perhaps\n")
    results = evaluate(tmp_path, monkeypatch, **settings)
    assert results["status"] == status
    assert words in results["message"]


def test_processes_give_what_one_gives() -> None:
    seen: list[tuple[int, int]] = []
    items = [float(i) for i in range(50)]
    assert parallel_map(float.hex, items, workers=2, progress=lambda d, t: seen.append((d, t))) == [
        float.hex(i) for i in items
    ]
    assert seen[-1] == (50, 50)
    assert parallel_map(float.hex, items[:3], workers=2) == [float.hex(i) for i in items[:3]]


def test_rmse_in_angstrom_and_volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # as in the test of the match distance: RMS 0.02 a; every length 3 % too large
    a, sites = 4.0, [[0, 0, 0], [0.54, 0.5, 0.5]]
    write(tmp_path / "truth.h5", crystal(np.eye(3) * a, [[0, 0, 0], [0.5, 0.5, 0.5]], "Cs", "Cl"))
    write(tmp_path / "crystals.h5", crystal(np.eye(3) * a * 1.03, sites, "Cs", "Cl"))
    found = evaluate(tmp_path, monkeypatch, mode="reconstruction", reference="truth.h5", fingerprint_gate=False)[
        "scalars"
    ]
    assert found["match_rmse_angstrom"] == pytest.approx(0.02 * a, rel=1e-6)
    assert found["match_rmse_not_gated"] == pytest.approx(0.02 * 2 ** (1 / 3), rel=1e-6)
    assert found["volume_error"] == pytest.approx(1.03**3 - 1)
    assert found["length_error"] == pytest.approx(0.03 * a)
    assert found["site_error_mean"] == pytest.approx(0.02 * a)  # 0 and 0.04 a
