"""The evaluation as a CalcJob: what is linked and refused, what becomes a node, and the way from a dataset to it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from aiida.engine import run_get_node
from aiida.engine.processes.ports import PortNamespace
from aiida.orm import CalcJobNode, Dict, FolderData, QueryBuilder, SinglefileData, StructureData
from aiida.plugins import CalculationFactory

from aiida_icsg3d.data import CrystalDatasetData
from tests.aiida import made_up


def refuse(entry_point: str, inputs: dict[str, Any]) -> str:
    """Return what the validation says of the inputs, '' where it accepts them."""
    namespace: PortNamespace = CalculationFactory(entry_point).spec().inputs
    error = namespace.validate(namespace.pre_process({**inputs, "settings": Dict(inputs.get("settings", {}))}))
    return error.message if error else ""


@pytest.fixture
def without_test(tmp_path: Path) -> CrystalDatasetData:
    """Return a stored dataset whose test part is empty."""
    content = CrystalDatasetData(made_up.write_dataset(tmp_path / "full.h5")).get_dataset()
    content.split[:] = [0] * 7 + [1]
    content.write(tmp_path / "empty.h5")
    return CrystalDatasetData(tmp_path / "empty.h5").store()


@pytest.fixture
def inputs(fake_code: Any, model: Any, dataset: Any, remote: Any, tmp_path: Path) -> dict[str, Any]:
    """Return all inputs of an evaluation of conditioned samples."""
    (tmp_path / "free").mkdir()
    made_up.write_crystal_file(tmp_path / "free" / "crystals.h5", made_up.crystals(2))
    return {
        "code": fake_code(), "crystals_folder": remote(), "reference": dataset, "training": dataset,
        "settings": {"target": -1.0}, "predictors": {"b": model("cgcnn", 1), "a": model("voxelnet", 2)},
        "stability": SinglefileData(io.BytesIO(b"id,stable\n"), filename="hull.csv").store(),
        "unconditioned_folder": FolderData(tree=str(tmp_path / "free")).store(),
    }  # fmt: skip


def test_all_inputs(inputs: Any, prepared: Any) -> None:
    assert refuse("icsg3d.evaluate", inputs) == ""
    info, settings = prepared("icsg3d.evaluate", inputs)
    assert settings == {
        "target": -1.0, "crystals": "crystals.h5", "reference": "reference.h5", "training": "training.h5",
        "predictors": ["predictor_a.safetensors", "predictor_b.safetensors"], "stability": "stability.csv",
        "unconditioned": "unconditioned.h5",
    }  # fmt: skip
    crystals = inputs["crystals_folder"]
    assert info.remote_symlink_list == [
        (crystals.computer.uuid, f"{crystals.get_remote_path()}/crystals.h5", "crystals.h5")
    ]
    assert sorted(info.local_copy_list) == sorted([
        (inputs["unconditioned_folder"].uuid, "crystals.h5", "unconditioned.h5"),
        (inputs["reference"].uuid, "dataset.h5", "reference.h5"),
        (inputs["training"].uuid, "dataset.h5", "training.h5"),
        (inputs["stability"].uuid, "hull.csv", "stability.csv"),
        (inputs["predictors"]["a"].uuid, "model.safetensors", "predictor_a.safetensors"),
        (inputs["predictors"]["b"].uuid, "model.safetensors", "predictor_b.safetensors"),
    ])  # fmt: skip
    assert {"evaluation.json", "evaluation.md", "evaluation.csv"} <= set(info.retrieve_list)


def test_unconditioned_crystals_of_a_remote_folder(inputs: Any, prepared: Any, remote: Any) -> None:
    folder = remote()
    info, _ = prepared("icsg3d.evaluate", {**inputs, "unconditioned_folder": folder})
    link = (folder.computer.uuid, f"{folder.get_remote_path()}/crystals.h5", "unconditioned.h5")
    assert link in info.remote_symlink_list


def test_optional_files_are_left_out(inputs: Any, prepared: Any) -> None:
    few = {key: inputs[key] for key in ("code", "crystals_folder", "reference")}
    settings = prepared("icsg3d.evaluate", few)[1]
    assert settings["predictors"] == []
    assert [settings[name] for name in ("training", "stability", "unconditioned")] == [None] * 3


@pytest.mark.parametrize(
    ("settings", "left_out", "message"),
    [
        ({"cache": "prints.h5"}, (), "cache is set by the CalcJob"),
        ({"unconditioned": "x.h5"}, (), "unconditioned is set by the CalcJob"),
        ({"cutoffs": "perov5"}, (), "perov_5"),
        ({}, (), "give a `target` or a condition"),
        ({"target": -1.0}, ("predictors",), "`target` needs `predictors`"),
        ({"paired_by": "order"}, ("unconditioned_folder",), "`paired_by` is for mode 'reconstruction'"),
        (
            {"mode": "reconstruction"}, ("unconditioned_folder",),
            "`training`, `predictors`, `stability` is for mode 'generation'",
        ),
    ],
)  # fmt: skip
def test_refused(settings: dict[str, Any], left_out: tuple[str, ...], message: str, inputs: Any) -> None:
    changed = {key: value for key, value in inputs.items() if key not in left_out} | {"settings": settings}
    assert message in refuse("icsg3d.evaluate", changed)


def test_a_part_without_crystals_is_refused(inputs: Any, without_test: Any, model: Any) -> None:
    message = refuse("icsg3d.evaluate", {**inputs, "reference": without_test})
    assert "reference" in message
    assert "no crystal in its test part; it has train 7, validation 1, test 0" in message
    given = {**inputs, "reference": without_test, "settings": {"target": -1.0, "part": "all"}}
    assert refuse("icsg3d.evaluate", given) == ""
    sample = {"code": inputs["code"], "vae": model("vae"), "dataset": without_test}
    settings = {"mode": "reconstruct", "base_part": "test"}
    assert "no crystal in its test part" in refuse("icsg3d.sample", {**sample, "settings": settings})


def test_another_network_among_the_predictors(inputs: Any, model: Any) -> None:
    assert "predictors.a holds a vae network" in refuse(
        "icsg3d.evaluate", {**inputs, "predictors": {"a": model("vae")}}
    )


def test_figures_become_nodes(parsed: Any, tmp_path: Path) -> None:
    made_up.write_stage(tmp_path, "evaluate", count=2)
    outputs, node = parsed("evaluate", tmp_path)
    assert node.is_finished_ok, node.exit_message
    rate, rmse = outputs["evaluation"].get_dict()["figures"]
    assert (rate["name"], rate["value"], rate["reference"]) == ("match_rate", 0.75, 1.0)
    assert rmse["value"] is None
    assert outputs["results"].get_dict()["scalars"] == {"match_rate": 0.75, "match_rmse": None}
    assert outputs["table"].get_content().startswith("| figure | value |")
    assert outputs["details"].filename == "evaluation.csv"
    assert outputs["details"].get_content().splitlines()[1:] == ["s000000,0.01", "s000001,0.01"]


@pytest.mark.parametrize(
    ("change", "message"),
    [({"format_version": 2}, "format version 2"), ({"figures": None}, "no figures"), (None, "found list")],
)
def test_figures_of_another_kind(change: dict[str, Any] | None, message: str, parsed: Any, tmp_path: Path) -> None:
    made_up.write_stage(tmp_path, "evaluate")
    content = {**json.loads((tmp_path / "evaluation.json").read_text()), **(change or {})}
    kept = {key: value for key, value in content.items() if value is not None}
    (tmp_path / "evaluation.json").write_text(json.dumps([] if change is None else kept))
    outputs, node = parsed("evaluate", tmp_path)
    assert node.exit_status == 304
    assert message in node.exit_message
    assert set(outputs) == {"results"}


def test_dataset_in_place_of_base_crystals(inputs: Any, prepared: Any, model: Any) -> None:
    given = {
        "code": inputs["code"], "vae": model("vae"), "dataset": inputs["reference"],
        "settings": {"mode": "reconstruct", "base_part": "validation"},
    }  # fmt: skip
    assert refuse("icsg3d.sample", given) == ""
    info, settings = prepared("icsg3d.sample", given)
    assert (settings["base"], settings["base_part"]) == ("base.h5", "validation")
    assert (inputs["reference"].uuid, "dataset.h5", "base.h5") in info.local_copy_list
    line = {**given, "settings": {"mode": "interpolate", "base_part": "train"}}
    assert "two base crystals, received 6" in refuse("icsg3d.sample", line)
    assert "mode is 'prior'" in refuse("icsg3d.sample", {**given, "settings": {}})
    both = {**given, "base": {"one": StructureData(pymatgen=next(made_up.crystals(1).structures()))}}
    assert "by `base` and by `dataset`" in refuse("icsg3d.sample", both)
    del both["dataset"]
    assert "settings.base_part is a part of the input `dataset`" in refuse("icsg3d.sample", both)


def test_from_a_dataset_to_its_evaluation(inputs: Any, model: Any) -> None:
    code, dataset = inputs["code"], inputs["reference"]

    def run(stage: str, **given: Any) -> CalcJobNode:
        node = run_get_node(CalculationFactory(f"icsg3d.{stage}"), code=code, **given)[1]
        assert node.is_finished_ok, node.exit_message
        return node

    settings = {"mode": "reconstruct", "base_part": "test", "register_base": False}
    sample = run("sample", vae=model("vae"), dataset=dataset, settings=settings)
    fields = sample.outputs.remote_folder
    segment = run("segment", unet=model("unet"), fields_folder=fields)
    rebuild = run("rebuild", fields_folder=fields, segments_folder=segment.outputs.remote_folder)
    settings = {"mode": "reconstruction", "paired_by": "order"}
    folder = rebuild.outputs.remote_folder
    done = run("evaluate", crystals_folder=folder, reference=dataset, settings=settings)
    assert done.outputs.evaluation["figures"][0]["value"] == 0.75
    query = QueryBuilder().append(CrystalDatasetData, tag="dataset", filters={"id": dataset.pk})
    query.append(CalcJobNode, with_ancestors="dataset", project="id")
    assert {sample.pk, segment.pk, rebuild.pk, done.pk} <= set(query.all(flat=True))
