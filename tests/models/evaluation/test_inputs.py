"""What is wrong with the inputs of an evaluation is refused, or said beside the figures."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from icsg3d_models.cli import main
from icsg3d_models.crystals.batch import Crystals, write_crystals
from icsg3d_models.data.datasets import Dataset
from tests.models.evaluation.crystals_by_hand import joined, perovskites

ALL = joined(perovskites("Sr Ti O", "Ba Ti O", "Ca Ti O", "K Nb O"), perovskites("Sr Zr O", "Ba Zr O"))
TRUE = ALL.take([4, 5])  # c4, c5
MADE = replace(TRUE, frac=(TRUE.frac + 0.001) % 1.0)
RECONSTRUCTION = {"mode": "reconstruction", "fingerprint_gate": False}
Evaluate = Callable[..., dict]


def write(path: Path, crystals: Crystals) -> None:
    with h5py.File(path, "w") as file:
        write_crystals(file.create_group("crystals"), crystals)


@pytest.fixture
def evaluate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Evaluate:
    """Return what evaluates two crystals, which are nearly those of the test part, with the settings given."""
    monkeypatch.chdir(tmp_path)
    Dataset(ALL, {}, np.array([0, 0, 0, 0, 2, 2], dtype=np.uint8)).write("dataset.h5")
    write(Path("crystals.h5"), MADE)

    def run(**settings: object) -> dict:
        Path("settings.json").write_text(json.dumps({"threads": 1, "cache": None, **settings}))
        main(["evaluate", "settings.json"])
        return json.loads(Path("results.json").read_text())

    return run


def noted(results: dict) -> str:
    assert results["status"] == "completed", results["message"]
    return "\n".join(results["tables"].get("notes", []))


def test_nothing_is_noted_where_nothing_is_wrong(evaluate: Evaluate) -> None:
    assert noted(evaluate(**RECONSTRUCTION)) == ""


def test_no_crystals(evaluate: Evaluate) -> None:
    """It was a traceback."""
    write(Path("crystals.h5"), TRUE.take([]))
    for settings in (RECONSTRUCTION, {"samples": 5}):
        results = evaluate(**settings)
        assert results["status"] == "input_incompatible"
        assert "crystals.h5: holds no crystal" in results["message"]


def test_one_name_for_two(evaluate: Evaluate) -> None:
    write(Path("crystals.h5"), MADE.take([0, 1, 0]))
    assert "'c4' are ids of several crystals" in evaluate(**RECONSTRUCTION)["message"]


def test_true_crystals_without_a_prediction_are_named(evaluate: Evaluate) -> None:
    write(Path("crystals.h5"), MADE.take([1]))
    assert "1 of 2 true crystals have no prediction and count as failures: 'c4'" in noted(evaluate(**RECONSTRUCTION))


def test_the_wrong_part_paired_by_order(evaluate: Evaluate) -> None:
    """It gave 0 %, and no word."""
    write(Path("crystals.h5"), replace(MADE, ids=("s000000", "s000001")))
    order = {**RECONSTRUCTION, "paired_by": "order"}
    assert noted(evaluate(**order)) == ""
    assert "is `part` train of dataset.h5 what was reconstructed?" in noted(evaluate(**order, part="train"))


@pytest.mark.parametrize("crystals", ["dataset.h5", "true.h5"])
def test_the_truth_in_the_place_of_what_was_made(evaluate: Evaluate, crystals: str) -> None:
    """It gave 100 %, and no word."""
    write(Path("true.h5"), replace(TRUE, frac=TRUE.frac + 2))
    assert "2 of " in (said := noted(evaluate(crystals=crystals)))
    assert "are in dataset.h5 number for number ('c4', 'c5')" in said


def test_a_crystal_file_has_no_parts(evaluate: Evaluate) -> None:
    write(Path("true.h5"), TRUE)
    assert "true.h5 is a crystal file, which has no parts: all 2" in noted(evaluate(reference="true.h5", part="train"))


@pytest.mark.parametrize("settings", [{"part": "all"}, {"reference": "true.h5"}])
def test_why_novelty_is_not_judged(evaluate: Evaluate, settings: dict) -> None:
    write(Path("true.h5"), TRUE)
    results = evaluate(**settings)
    assert "novelty is not judged" in noted(results)
    assert "novelty is not judged" in Path("evaluation.md").read_text()
    assert "novelty" not in results["scalars"]


@pytest.mark.parametrize(("factor", "words"), [(0.0, "singular cell"), (1e6, "lengths have to be in Å")])
def test_a_cell_that_cannot_be(evaluate: Evaluate, factor: float, words: str) -> None:
    """The first had all elements right at no volume, the second took 618 GiB."""
    cells = MADE.cell.copy()
    cells[0] *= factor
    write(Path("crystals.h5"), replace(MADE, cell=cells))
    results = evaluate(**RECONSTRUCTION)
    assert words in noted(results)
    assert results["scalars"]["rebuilt"] == 0.5


def test_coordinates_outside_the_cell(evaluate: Evaluate) -> None:
    expected = evaluate(**RECONSTRUCTION)["scalars"]
    write(Path("crystals.h5"), replace(MADE, frac=MADE.frac - 3))
    found = evaluate(**RECONSTRUCTION)["scalars"]
    assert found == pytest.approx(expected, nan_ok=True, abs=1e-9)


def test_sites_dealt_wrongly(evaluate: Evaluate) -> None:
    """It was a traceback of numpy."""
    write(Path("crystals.h5"), replace(MADE, offsets=np.array([0, 12, 10])))
    results = evaluate(**RECONSTRUCTION)
    assert results["status"] == "input_unreadable"
    assert "the offsets do not deal 10 sites to 2 crystals" in results["message"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("samples", 100), ("training", "dataset.h5"), ("stability", "s.csv"), ("unconditioned", "crystals.h5"),
     ("predictors", ["model.safetensors"])],
)  # fmt: skip
def test_what_a_reconstruction_has_no_use_for(evaluate: Evaluate, name: str, value: object) -> None:
    """It was passed over without a word."""
    results = evaluate(mode="reconstruction", **{name: value})
    assert results["status"] == "settings_rejected"
    assert f"`{name}` is for mode 'generation'" in results["message"]


@pytest.mark.parametrize("cutoffs", [[-1.0, 4.0], [float("nan"), 4.0], [0.2, 0.0]])
def test_cut_offs_that_nothing_is_within(evaluate: Evaluate, cutoffs: list[float]) -> None:
    assert evaluate(cutoffs=cutoffs)["status"] == "settings_rejected"


def test_a_damaged_cache(evaluate: Evaluate) -> None:
    Path("prints.h5").write_bytes(b"\x89HDF")
    results = evaluate(cache="prints.h5")
    assert results["status"] == "input_unreadable"
    assert "delete it" in results["message"]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("id,stable\nx1,true\n", "no row of one of the 2 crystals, which are 'c4', 'c5'; its ids are 'x1'"),
        ("id,stable\n", "none of its rows says"),
        ("", "an empty table"),
        ("id,stable\nc4,true\nc4,false\n", "two rows of c4 differ"),
        ("id,stable\nc4\n", "row 1"),
        ("id,stable\nc4,\n", "none of its rows says"),
        ("id,stable,stable\nc4,true,false\n", "more than once"),
        ("id,Stable\nc4,true\n", "is Stable meant?"),
    ],
)
def test_a_table_of_stability_that_says_nothing(evaluate: Evaluate, table: str, words: str) -> None:
    """The first three gave S.U.N. of 0 %, the fourth took the last row, without a word."""
    Path("stable.csv").write_text(table)
    results = evaluate(stability="stable.csv")
    assert results["status"] in ("input_incompatible", "input_unreadable")
    assert words in results["message"]


@pytest.mark.parametrize(
    "table", [b"\xef\xbb\xbfid;stable\r\nc4;TRUE\r\nx;1\r\n", b"id\tstable\nc4\t1\nc4\ttrue\nx\t0\n"]
)
def test_tables_as_people_have_them(evaluate: Evaluate, table: bytes) -> None:
    Path("stable.csv").write_bytes(table)
    results = evaluate(stability="stable.csv")
    assert "1 of 2 crystals have one of its 2 rows" in noted(results)
    assert results["scalars"]["sun"] == 0.5


def test_a_relaxation_that_failed_is_not_stable(evaluate: Evaluate) -> None:
    # what `icsg3d relax` writes of a crystal that blew up
    Path("stable.csv").write_text("id,stable\nc4,true\nc5,\n")
    results = evaluate(stability="stable.csv")
    assert "1 of 2 crystals have one of its 1 rows" in noted(results)
    assert results["scalars"]["sun"] == 0.5
