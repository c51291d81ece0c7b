"""Parsers on folders as the stages leave them; every status becomes its exit code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiida.orm import ArrayData, Dict, StructureData
from aiida.plugins import CalculationFactory

from aiida_icsg3d.calculations.exit_codes import STATUS_EXIT_CODES
from aiida_icsg3d.data import CrystalDatasetData, TrainedModelData
from aiida_icsg3d.parsers.rebuild import link_label
from icsg3d_models.results import STATUSES
from icsg3d_models.screening.table import read_table
from icsg3d_models.settings import STAGES
from tests.aiida import made_up

OURS = ("prepare", "train", "sample", "segment", "rebuild", "relax", "screen", "evaluate")


def test_every_status_has_one_exit_code() -> None:
    assert set(STATUS_EXIT_CODES) == set(STATUSES)
    numbers = [number for number, _ in STATUS_EXIT_CODES.values()]
    assert len(set(numbers)) == len(numbers)
    assert set(OURS) <= set(STAGES)


@pytest.mark.parametrize("stage", OURS)
def test_exit_codes_are_declared(stage: str) -> None:
    declared = CalculationFactory(f"icsg3d.{stage}").exit_codes
    for status, (number, label) in STATUS_EXIT_CODES.items():
        if number:
            assert declared[label].status == number, status
            assert declared[label].invalidates_cache is (number < 400)


@pytest.mark.parametrize("status", sorted(set(STATUSES) - {"completed"}))
def test_status_and_message_become_the_exit_code(status: str, parsed: Any, tmp_path: Path) -> None:
    made_up.write_stage(tmp_path, "segment", status, "what {the} stage said")
    outputs, node = parsed("segment", tmp_path)
    assert node.exit_status == STATUS_EXIT_CODES[status][0]
    assert node.exit_message == "what {the} stage said"
    assert outputs["results"].get_dict()["status"] == status


@pytest.mark.parametrize("stage", OURS)
def test_completed(stage: str, parsed: Any, tmp_path: Path) -> None:
    made_up.write_stage(tmp_path, stage)
    outputs, node = parsed(stage, tmp_path)
    assert node.is_finished_ok, node.exit_message
    assert outputs["results"].get_dict()["stage"] == stage


VARIES = ("wall_time_seconds", "peak_memory_bytes", "versions", "device")
"""What results.json says of the run itself, which is another each time."""


def content(outputs: dict[str, Any]) -> dict[str, Any]:
    """Return what the outputs of a parser hold, as plain data."""
    return {label: plain(node) for label, node in outputs.items()}


def plain(node: Any) -> Any:
    """Return what one output, or a namespace of them, holds."""
    if isinstance(node, Mapping):
        return {label: plain(item) for label, item in sorted(node.items())}
    if isinstance(node, Dict):
        return {key: value for key, value in node.get_dict().items() if key not in VARIES}
    if isinstance(node, ArrayData):
        return {name: node.get_array(name).tolist() for name in node.get_arraynames()}
    if isinstance(node, StructureData):
        return {"label": node.label, "description": node.description, "cell": node.cell,
                "sites": [[site.kind_name, *site.position] for site in node.sites]}  # fmt: skip
    if isinstance(node, (CrystalDatasetData, TrainedModelData)):
        kept = {key: value for key, value in node.base.attributes.all.items() if "sha" not in key}
        return {"label": node.label, **kept}
    return node.get_content()


@pytest.mark.parametrize("stage", OURS)
def test_what_every_stage_leaves_behind(stage: str, parsed: Any, tmp_path: Path, data_regression: Any) -> None:
    """Every output of every parser, beside what it was when the expected files were written."""
    folder = tmp_path / "files"
    folder.mkdir()
    made_up.write_stage(folder, stage, seed=42)
    outputs, node = parsed(stage, folder)
    assert node.is_finished_ok, node.exit_message
    data_regression.check(content(outputs), round_digits=8)


def test_train(parsed: Any, tmp_path: Path) -> None:
    made_up.write_stage(tmp_path, "train", network="unet")
    (tmp_path / "fingerprint.h5").write_bytes(b"fingerprint")
    outputs, _ = parsed("train", tmp_path)
    assert outputs["model"].network == "unet"
    assert outputs["metrics"].get_array("train_loss") == pytest.approx([1, 1 / 2, 1 / 3])
    assert np.isnan(outputs["metrics"].get_array("loss")[0])
    assert outputs["results"].get_dict()["scalars"] == {"validation_loss": None}
    assert outputs["fingerprint"].filename == "fingerprint.h5"


def test_train_out_of_time_keeps_the_model(parsed: Any, tmp_path: Path) -> None:
    made_up.write_stage(tmp_path, "train", "walltime", "the deadline came")
    outputs, node = parsed("train", tmp_path)
    assert (node.exit_status, node.exit_message) == (400, "the deadline came")
    assert outputs["model"].network == "vae"
    assert "metrics" in outputs


def test_train_out_of_time_before_the_first_epoch(parsed: Any, tmp_path: Path) -> None:
    made_up.write_stage(tmp_path, "train", "walltime", "the deadline came")
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "metrics.csv").unlink()
    outputs, node = parsed("train", tmp_path)
    assert node.exit_status == 400
    assert set(outputs) == {"results"}


@pytest.mark.parametrize(
    ("stage", "file"),
    [("prepare", "dataset.h5"), ("train", "model.safetensors"), ("train", "metrics.csv"),
     ("rebuild", "crystals.h5"), ("relax", "relax.csv"), ("relax", "relaxed.h5"),
     ("screen", "screening.csv"), ("evaluate", "evaluation.json")],
)  # fmt: skip
def test_output_missing_or_damaged(stage: str, file: str, parsed: Any, tmp_path: Path) -> None:
    made_up.write_stage(tmp_path, stage)
    content = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(content[: min(40, len(content) // 2)])
    outputs, node = parsed(stage, tmp_path)
    assert node.exit_status == 304
    assert file in node.exit_message
    assert "results" in outputs
    (tmp_path / file).unlink()
    _, node = parsed(stage, tmp_path)
    assert node.exit_status == 303
    assert file in node.exit_message


def test_no_results(parsed: Any, tmp_path: Path) -> None:
    (tmp_path / "icsg3d.err").write_text("killed")
    _, node = parsed("train", tmp_path)
    assert node.exit_status == 301


@pytest.mark.parametrize("code", [110, 120, 140])
def test_scheduler_codes_are_kept(code: int, parsed: Any, tmp_path: Path) -> None:
    (tmp_path / "icsg3d.err").write_text("killed")
    _, node = parsed("train", tmp_path, scheduler=(code, "said the scheduler"))
    assert (node.exit_status, node.exit_message) == (code, "said the scheduler")


def test_what_the_stage_says_is_worth_more_than_the_scheduler(parsed: Any, tmp_path: Path) -> None:
    made_up.write_stage(tmp_path, "train", "walltime", "checkpoint written")
    _, node = parsed("train", tmp_path, scheduler=(120, "said the scheduler"))
    assert node.exit_status == 400


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 99}, "version 99"),
        ({"status": "splendid"}, "unknown status 'splendid'"),
        ({"stage": "train"}, "written by the stage 'train'"),
    ],
)
def test_results_of_another_kind(change: dict[str, Any], message: str, parsed: Any, tmp_path: Path) -> None:
    made_up.write_stage(tmp_path, "sample")
    content = json.loads((tmp_path / "results.json").read_text())
    (tmp_path / "results.json").write_text(json.dumps({**content, **change}))
    _, node = parsed("sample", tmp_path)
    assert node.exit_status == 302
    assert message in node.exit_message


@pytest.mark.parametrize("text", ["{", "[1, 2]"])
def test_results_that_are_no_results(text: str, parsed: Any, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(text)
    assert parsed("sample", tmp_path)[1].exit_status == 302


def test_rebuild_makes_every_crystal_a_node(parsed: Any, tmp_path: Path) -> None:
    made_up.write_stage(tmp_path, "rebuild", count=5, seed=42)
    outputs, _ = parsed("rebuild", tmp_path)
    nodes = outputs["crystals"]
    assert sorted(nodes) == [f"s{i:06d}" for i in range(5)]
    node = nodes["s000002"]
    assert node.label == "BaZrO3 s000002"
    assert node.description == "rebuilt from sample s000002, seed 42"
    expected = list(made_up.crystals(5).structures())[2]
    assert node.get_pymatgen_structure().lattice.matrix == pytest.approx(expected.lattice.matrix)
    assert node.get_pymatgen_structure().frac_coords % 1 == pytest.approx(expected.frac_coords % 1)
    assert node.get_formula() == "BaO3Zr"


@pytest.mark.parametrize(
    ("name", "label"), [("s000012", "s000012"), ("mp-123.4", "mp_123_4"), ("__a  b__", "a_b"), ("a__b", "a_b")]
)
def test_link_label(name: str, label: str) -> None:
    assert link_label(name) == label


def test_screen(parsed: Any, tmp_path: Path) -> None:
    made_up.write_stage(tmp_path, "screen", selected=["s000001", "s000003"])
    outputs, _ = parsed("screen", tmp_path)
    content = outputs["selected"].get_dict()
    assert content["ids"] == ["s000001", "s000003"]
    row = content["rows"]["s000001"]
    assert row["formula"] == "InO3F"
    assert (row["rank"], row["novel"], row["selected"], row["duplicate_of"]) == (1, True, True, None)
    assert row["predicted_formation_energy_per_atom"] == pytest.approx(-0.9)
    assert outputs["table"].filename == "screening.csv"


def test_screen_nothing_valid_keeps_the_table(parsed: Any, tmp_path: Path) -> None:
    made_up.write_stage(tmp_path, "screen", "nothing_valid", "nothing passed", selected=[])
    outputs, node = parsed("screen", tmp_path)
    assert node.exit_status == 421
    assert outputs["selected"].get_dict() == {"ids": [], "rows": {}}
    assert "table" in outputs


def test_screen_selects_what_is_not_there(parsed: Any, tmp_path: Path) -> None:
    made_up.write_stage(tmp_path, "screen", selected=["s000001"])
    content = json.loads((tmp_path / "results.json").read_text())
    content["tables"]["selected"] = ["s009999"]
    (tmp_path / "results.json").write_text(json.dumps(content))
    _, node = parsed("screen", tmp_path)
    assert node.exit_status == 304
    assert "s009999" in node.exit_message


def test_formulas_that_look_like_numbers(tmp_path: Path) -> None:
    path = made_up.write_screening(tmp_path / "t.csv", made_up.crystals(2), [])
    path.write_text(path.read_text().replace("SrTiO3", "InF").replace("InO3F", "NaN"))
    assert [row["formula"] for row in read_table(path)] == ["InF", "NaN"]


@pytest.mark.parametrize(("old", "new", "message"), [
    (",id,", ",name,", "no column id"),
    ("true,true,true", "maybe,true,true", "structure_valid is 'maybe'"),
    ("Pm-3m,221", "Pm-3m,many", "spacegroup_number is 'many'"),
])  # fmt: skip
def test_table_with_errors(old: str, new: str, message: str, tmp_path: Path) -> None:
    path = made_up.write_screening(tmp_path / "t.csv", made_up.crystals(2), [])
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ValueError, match=message):
        read_table(path)
