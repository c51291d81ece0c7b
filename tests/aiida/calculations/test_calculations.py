"""CalcJobs: bad inputs are refused before submission; what is linked, written and retrieved."""

from __future__ import annotations

import io
from typing import Any

import h5py
import numpy as np
import pytest
from aiida.engine.processes.ports import PortNamespace
from aiida.orm import Dict, FolderData, SinglefileData, StructureData
from aiida.plugins import CalculationFactory

from icsg3d_models.crystals.batch import read_crystals

STAGES = ("prepare", "train", "sample", "segment", "rebuild", "relax", "screen", "evaluate")


def refuse(entry_point: str, inputs: dict[str, Any]) -> str:
    """Return what the validation says of the inputs, '' where it accepts them."""
    namespace: PortNamespace = CalculationFactory(entry_point).spec().inputs
    error = namespace.validate(namespace.pre_process(inputs))
    return error.message if error else ""


@pytest.fixture
def inputs(fake_code: Any, model: Any, dataset: Any, remote: Any) -> dict[str, dict[str, Any]]:
    """Return complete inputs of every stage."""
    code = fake_code()
    return {
        "prepare": {"code": code, "source": SinglefileData(io.BytesIO(b"cif"), filename="all.csv").store()},
        "train": {"code": code, "settings": {"network": "cgcnn"}, "dataset": dataset},
        "sample": {"code": code, "vae": model("vae"), "prior": model("prior")},
        "segment": {"code": code, "unet": model("unet"), "fields_folder": remote()},
        "rebuild": {"code": code, "fields_folder": remote(), "segments_folder": remote()},
        "relax": {"code": code, "crystals_folder": remote()},
        "screen": {
            "code": code,
            "crystals_folder": remote(),
            "predictors": {"a": model("cgcnn")},
            "reference": dataset,
        },
        "evaluate": {"code": code, "crystals_folder": remote(), "reference": dataset},
    }


@pytest.mark.parametrize("stage", STAGES)
def test_complete_inputs_are_accepted(stage: str, inputs: Any, prepared: Any) -> None:
    assert refuse(f"icsg3d.{stage}", {**inputs[stage], "settings": Dict(inputs[stage].get("settings", {}))}) == ""
    info, settings = prepared(f"icsg3d.{stage}", inputs[stage])
    assert info.codes_info[0].cmdline_params == [stage, "settings.json"]
    assert {"results.json", "progress.jsonl"} <= set(info.retrieve_list)
    linked = [entry[2] for entry in [*info.local_copy_list, *info.remote_symlink_list]]
    assert sorted(linked) == sorted(name for value in settings.values() for name in flat(value) if name in linked)


def flat(value: Any) -> list[Any]:
    """Return a value, or the items of a list."""
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("stage", STAGES)
def test_typo_in_the_settings(stage: str, inputs: Any) -> None:
    settings = Dict({**inputs[stage].get("settings", {}), "sede": 1})
    message = refuse(f"icsg3d.{stage}", {**inputs[stage], "settings": settings})
    assert "sede" in message
    assert "Accepted keys: " in message
    assert "seed" in message


@pytest.mark.parametrize(("stage", "path"), [("sample", "vae"), ("train", "checkpoint"), ("rebuild", "crystals")])
def test_paths_are_not_settings(stage: str, path: str, inputs: Any) -> None:
    settings = Dict({**inputs[stage].get("settings", {}), path: "elsewhere"})
    assert "set by the CalcJob" in refuse(f"icsg3d.{stage}", {**inputs[stage], "settings": settings})


@pytest.mark.parametrize(
    ("stage", "change", "message"),
    [
        ("sample", {"settings": {"n_samples": 0}}, "n_samples"),
        ("sample", {"settings": {"elements": ["Pb", "Oo"]}}, "Oo"),
        ("sample", {"settings": {"mode": "base"}}, "needs `base`"),
        ("train", {"settings": {"network": "vae"}}, "give the input `unet`"),
        ("train", {"settings": {"network": "transformer"}}, "network"),
        ("train", {"settings": {"network": "cgcnn", "targets": ["gap"]}}, "gap are not in the dataset"),
        ("train", {"settings": {"network": "cgcnn", "options": {"widht": 3}}}, "did you mean width?"),
        ("screen", {"predictors": {}}, "at least one CGCNN"),
        ("screen", {"reference": None}, "no `reference` to compare with"),
    ],
)
def test_refused(stage: str, change: dict[str, Any], message: str, inputs: Any) -> None:
    changed = {**inputs[stage], **change}
    changed["settings"] = Dict(changed.get("settings", {}))
    changed = {key: value for key, value in changed.items() if value is not None}
    assert message in refuse(f"icsg3d.{stage}", changed)


@pytest.mark.parametrize(
    ("stage", "port"), [("sample", "vae"), ("sample", "prior"), ("segment", "unet"), ("train", "unet")]
)
def test_another_network(stage: str, port: str, inputs: Any, model: Any) -> None:
    changed = {**inputs[stage], "settings": Dict(inputs[stage].get("settings", {})), port: model("cgcnn")}
    assert f"{port} holds a cgcnn network" in refuse(f"icsg3d.{stage}", changed)


def test_a_model_to_start_from(inputs: Any, model: Any, prepared: Any) -> None:
    """It is of the network that is trained, and has what `targets_from` names."""
    given = {**inputs["train"], "initial": model("cgcnn", targets=["formation_energy_per_atom"])}
    assert prepared("icsg3d.train", given)[1]["start_from"] == "initial.safetensors"
    other = {**given, "initial": model("voxelnet"), "settings": Dict({"network": "cgcnn"})}
    assert "initial holds a voxelnet network" in refuse("icsg3d.train", other)
    for renamed, message in (
        ({"heat": "formation_energy_per_atom"}, "targets_from names heat; initial (PK"),
        ({"formation_energy_per_atom": "gap"}, "targets gap are not in the dataset"),
    ):
        settings = Dict({"network": "cgcnn", "targets_from": renamed})
        assert message in refuse("icsg3d.train", {**given, "settings": settings})
    alone = {**inputs["train"], "settings": Dict({"network": "cgcnn", "targets_from": {"a": "b"}})}
    assert "give that as `start_from`" in refuse("icsg3d.train", alone)


def test_options_of_the_other_kind_of_vae(inputs: Any, model: Any) -> None:
    """The U-Net that is given has no spacing, so the VAE upon it has one latent a crystal."""
    settings = Dict({"network": "vae", "options": {"channels": 4}})
    message = refuse("icsg3d.train", {**inputs["train"], "settings": settings, "unet": model("unet")})
    assert "channels: there is no such setting" in message
    assert "latent" in message


def test_another_network_among_the_predictors(inputs: Any, model: Any) -> None:
    changed = {**inputs["screen"], "settings": Dict({}), "predictors": {"a": model("vae")}}
    assert "predictors.a holds a vae network" in refuse("icsg3d.screen", changed)


def test_fields_on_another_computer(inputs: Any, remote: Any, aiida_computer_local: Any) -> None:
    changed = {**inputs["segment"], "settings": Dict({}), "fields_folder": remote(aiida_computer_local(label="other"))}
    message = refuse("icsg3d.segment", changed)
    assert "fields_folder lies on computer 'other', the code runs on 'localhost'" in message


def test_fields_that_were_cleaned(inputs: Any, remote: Any) -> None:
    folder = remote()
    folder.base.extras.set(folder.KEY_EXTRA_CLEANED, True)
    changed = {**inputs["segment"], "settings": Dict({}), "fields_folder": folder}
    assert "has been cleaned" in refuse("icsg3d.segment", changed)


def test_fields_stay_where_they_are(inputs: Any, prepared: Any) -> None:
    info, settings = prepared("icsg3d.rebuild", inputs["rebuild"])
    folder = inputs["rebuild"]["fields_folder"]
    assert info.remote_symlink_list == [
        (folder.computer.uuid, f"{folder.get_remote_path()}/fields.h5", "fields.h5"),
        (folder.computer.uuid, f"{folder.get_remote_path()}/segments.h5", "segments.h5"),
    ]
    assert info.local_copy_list == []
    assert not {"fields.h5", "segments.h5"} & set(info.retrieve_list)
    assert settings == {"fields": "fields.h5", "segments": "segments.h5"}


def test_train_resumes_before_the_wall_time_ends(inputs: Any, prepared: Any, remote: Any, model: Any) -> None:
    folder = remote()
    options = {"max_wallclock_seconds": 1000}
    given = {
        **inputs["train"], "settings": {"network": "vae", "seed": 5}, "unet": model("unet"),
        "checkpoint_folder": folder, "metadata": {"options": options},
    }  # fmt: skip
    info, settings = prepared("icsg3d.train", given)
    assert settings == {
        "network": "vae", "seed": 5, "dataset": "dataset.h5", "unet": "unet.safetensors", "vae": None,
        "start_from": None, "resume_from": "resume", "deadline_seconds": 900.0,
    }  # fmt: skip
    assert info.remote_symlink_list == [(folder.computer.uuid, f"{folder.get_remote_path()}/checkpoint", "resume")]
    given["settings"] = {"network": "vae", "deadline_seconds": 60}
    assert prepared("icsg3d.train", given)[1]["deadline_seconds"] == 60


def test_base_crystals_are_written(inputs: Any, prepared: Any, tmp_path: Any) -> None:
    base = StructureData(cell=(np.diag([3.9, 4.0, 4.1])).tolist())
    base.append_atom(symbols="Ti", position=(1.0, 2.0, 3.0))
    given = {**inputs["sample"], "settings": {"mode": "base", "n_samples": 3}, "base": {"mine": base.store()}}
    info, settings = prepared("icsg3d.sample", given)
    assert settings["base"] == "base.h5"
    with h5py.File(io.BytesIO(info.files["base.h5"])) as file:
        crystals = read_crystals(file["crystals"])
    assert crystals.ids == ("mine",)
    assert crystals.volumes == pytest.approx([3.9 * 4.0 * 4.1])
    assert crystals.frac @ crystals.cell[0] == pytest.approx(np.array([[1.0, 2.0, 3.0]]))


def test_base_crystals_and_modes(inputs: Any) -> None:
    base = {"one": StructureData(cell=np.eye(3).tolist())}
    base["one"].append_atom(symbols="Ti", position=(0, 0, 0))
    for settings, message in (({}, "mode is 'prior'"), ({"mode": "interpolate"}, "two base crystals, received 1")):
        assert message in refuse("icsg3d.sample", {**inputs["sample"], "settings": Dict(settings), "base": base})


def test_a_vae_for_any_shape_needs_its_prior_or_base_crystals(inputs: Any, prepared: Any, model: Any) -> None:
    vae = model("vae", 7, spacing=0.4)
    given = {
        **inputs["sample"],
        "vae": vae,
        "prior": model("prior", 8, elements=[8, 22, 82], spacing=0.4, vae_sha256=vae.sha256),
    }
    asked = {"composition": "PbTiO3", "crystal_system": "cubic"}
    assert prepared("icsg3d.sample", {**given, "settings": asked})[1].items() >= asked.items()
    fixed = {**inputs["sample"], "prior": model("prior", 9, elements=[8, 22, 82])}
    message = refuse("icsg3d.sample", {**fixed, "settings": Dict(asked)})
    assert "composition, crystal_system: cannot be asked of these models, which was trained with elements" in message
    message = refuse("icsg3d.sample", {**given, "settings": Dict({"space_group": 221})})
    assert "space_group: cannot be asked of these models" in message
    message = refuse("icsg3d.sample", {**given, "vae": inputs["sample"]["vae"], "settings": Dict({})})
    assert "was fitted to another VAE" in message
    given.pop("prior")
    assert "none is given" in refuse("icsg3d.sample", {**given, "settings": Dict({})})
    base = StructureData(cell=np.eye(3).tolist())
    base.append_atom(symbols="Ti", position=(0, 0, 0))
    given = {**given, "settings": {"mode": "base", "n_samples": 3}, "base": {"mine": base.store(), "other": base}}
    assert prepared("icsg3d.sample", given)[1]["mode"] == "base"
    between = {**given, "settings": {"mode": "interpolate"}}
    assert prepared("icsg3d.sample", between)[1]["mode"] == "interpolate"


def test_without_a_prior(inputs: Any, prepared: Any) -> None:
    given = dict(inputs["sample"])
    given.pop("prior")
    assert prepared("icsg3d.sample", given)[1]["prior"] is None


def test_source_keeps_its_suffix(inputs: Any, prepared: Any, tmp_path: Any) -> None:
    assert prepared("icsg3d.prepare", inputs["prepare"])[1] == {"source": "source_all.csv"}
    (tmp_path / "cifs").mkdir()
    (tmp_path / "cifs" / "a.cif").write_text("data_a")
    folder = FolderData(tree=str(tmp_path / "cifs")).store()
    info, settings = prepared("icsg3d.prepare", {**inputs["prepare"], "source": folder})
    assert settings == {"source": "source"}
    assert info.local_copy_list == [(folder.uuid, ".", "source")]


def test_screen_takes_the_retrieved_folder(inputs: Any, prepared: Any, tmp_path: Any, model: Any) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "crystals.h5").write_bytes(b"crystals")
    folder = FolderData(tree=str(tmp_path / "r")).store()
    predictors = {"b": model("cgcnn", 1), "a": model("voxelnet", 2)}
    given = {**inputs["screen"], "crystals_folder": folder, "predictors": predictors}
    info, settings = prepared("icsg3d.screen", given)
    assert settings == {
        "crystals": "crystals.h5", "reference": "reference.h5",
        "predictors": ["predictor_a.safetensors", "predictor_b.safetensors"],
    }  # fmt: skip
    assert (folder.uuid, "crystals.h5", "crystals.h5") in info.local_copy_list
    assert (predictors["a"].uuid, "model.safetensors", "predictor_a.safetensors") in info.local_copy_list


@pytest.mark.parametrize("stage", STAGES)
def test_defaults_of_the_options(stage: str) -> None:
    process = CalculationFactory(f"icsg3d.{stage}")
    options = process.spec().inputs["metadata"]["options"]
    assert options["parser_name"].default == f"icsg3d.{stage}"
    assert options["withmpi"].default is False
    assert process.CACHE_VERSION is not None
