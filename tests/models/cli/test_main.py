"""The command `icsg3d`: a status for every end, settings from a file and from options."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from icsg3d_models.cli import classify, main
from icsg3d_models.results import STATUSES, StageError
from icsg3d_models.settings import STAGES


def command(folder: Path, stage: str, content: object, monkeypatch: pytest.MonkeyPatch) -> tuple[int, dict[str, str]]:
    monkeypatch.chdir(folder)
    (folder / "settings.json").write_text(content if isinstance(content, str) else json.dumps(content))
    code = main([stage, "settings.json"])
    return code, json.loads((folder / "results.json").read_text())


def test_the_command_line_always_leaves_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, results = command(tmp_path, "sample", {"n_sample": 3}, monkeypatch)
    assert (code, results["status"]) == (1, "settings_rejected")
    assert "n_sample" in results["message"]
    assert "Accepted keys: seed" in results["message"]
    assert command(tmp_path, "sample", "{", monkeypatch)[1]["status"] == "settings_rejected"
    code, results = command(tmp_path, "sample", {"elements": ["Pb", "Xx"]}, monkeypatch)
    assert "Xx: no chemical symbol" in results["message"]
    code, results = command(tmp_path, "sample", {}, monkeypatch)
    assert (code, results["status"]) == (1, "input_unreadable")
    assert "vae.safetensors" in results["message"]
    assert command(tmp_path, "segment", {"unet": "none"}, monkeypatch)[1]["status"] == "input_unreadable"
    assert command(tmp_path, "rebuild", {}, monkeypatch)[1]["status"] == "input_missing"


def test_every_failure_has_a_status() -> None:
    cases = {
        "disk_full": OSError(28, "No space left on device"),
        "out_of_memory": MemoryError(),
        "interrupted": KeyboardInterrupt(),
        "input_missing": FileNotFoundError(2, "No such file", "x"),
        "walltime": StageError("walltime", "late"),
        "failed": ZeroDivisionError("x"),
    }
    for status, exception in cases.items():
        assert classify(exception)[0] == status
    with pytest.raises(ValueError, match="unknown status"):
        StageError("nonsense", "")
    assert set(cases) < set(STATUSES)


def test_help_is_quick_and_needs_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; sys.modules['aiida'] = None\n" \
        "from icsg3d_models.cli import main; main(['train', '--help'])"  # fmt: skip
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "deadline_seconds" in run.stdout


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main([*arguments, "--print-settings"]) == 0
    content: dict[str, Any] = json.loads(capsys.readouterr().out)
    return content


def test_options_stand_above_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.json").write_text(json.dumps({"network": "cgcnn", "seed": 7, "optimiser": {"ema": 0.5, "max_epochs": 2}}))
    options = ("--optimiser.max_epochs", "3", "--options.width", "16", "--targets", "a", "b")
    found = printed(capsys, "train", "s.json", *options)
    assert (found["seed"], found["targets"]) == (7, ["a", "b"])
    assert (found["optimiser"]["ema"], found["optimiser"]["max_epochs"]) == (0.5, 3)
    assert (found["options"]["width"], found["options"]["members"]) == (16, 3)
    as_json = printed(capsys, "train", "s.json", "--optimiser", '{"batch_size": 5}', "--optimiser.ema", "0.25")
    assert (as_json["optimiser"]["batch_size"], as_json["optimiser"]["ema"]) == (5, 0.25)
    assert as_json["optimiser"]["max_epochs"] == 100


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--n-samples", "5"], "n_samples", 5),
        (["--n_samples=5"], "n_samples", 5),
        (["--elements", "Pb", "Ti", "O"], "elements", ["O", "Ti", "Pb"]),
        (["--elements", '["Pb", "O"]'], "elements", ["O", "Pb"]),
        (["--targets", "gap=1.5", "energy=-2"], "targets", {"gap": 1.5, "energy": -2.0}),
        (["--targets", '{"gap": 1.5}'], "targets", {"gap": 1.5}),
        (["--prior", "null"], "prior", None),
        (["--vae", "5"], "vae", "5"),
        (["--register-base", "false"], "register_base", False),
        (["--guidance", "2"], "guidance", 2.0),
    ],
)
def test_every_kind_of_value(words: list[str], name: str, value: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "sample", *words)[name] == value


def test_a_setting_of_one_or_of_several(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "prepare", "--source", "a.csv")["source"] == "a.csv"
    assert printed(capsys, "prepare", "--source", "a.h5", "b.h5")["source"] == ["a.h5", "b.h5"]
    assert printed(capsys, "evaluate", "--cutoffs", "mp_20")["cutoffs"] == "mp_20"
    assert printed(capsys, "evaluate", "--cutoffs", "0.1", "3")["cutoffs"] == [0.1, 3.0]
    dense = printed(capsys, "train", "--network", "voxelnet", "--options.hidden", "32", "8")
    assert dense["options"]["hidden"] == [32, 8]
    assert printed(capsys, "train", "--network", "cgcnn", "--options.hidden", "32")["options"]["hidden"] == 32


@pytest.mark.parametrize("stage", STAGES)
def test_what_is_printed_is_a_settings_file(
    stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Required settings are null in it, and said; the rest is accepted as it stands and changes nothing."""
    monkeypatch.chdir(tmp_path)
    assert main([stage, "--print-settings"]) == 0
    out, err = capsys.readouterr()
    content = json.loads(out)
    needed = {"prepare": {"source": "x.csv"}, "train": {"network": "unet"}, "predict": {"composition": "C"}}
    required = needed.get(stage, {})
    assert {name for name, value in content.items() if name in required and value is None} == set(required)
    assert err == (f"icsg3d {stage}: still to be given: {', '.join(required)}\n" if required else "")
    model = STAGES[stage]
    assert model.model_validate({**content, **required}) == model.model_validate(required)
    Path("s.json").write_text(json.dumps({**content, **required}))
    assert printed(capsys, stage, "s.json") == model.model_validate(required).model_dump(mode="json")


@pytest.mark.parametrize("network", ["vae", "prior"])
def test_defaults_of_a_network_of_two_kinds_are_not_printed(network: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Those of the wrong kind would be refused once the network before it is read."""
    assert printed(capsys, "train", "--network", network)["options"] == {}
    assert printed(capsys, "train", "--network", network, "--options.width", "64")["options"] == {"width": 64}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sample", "--n-sample", "3"], "there is no setting --n-sample; did you mean --n_samples?"),
        (["train", "--max_epochs", "3"], "did you mean --optimiser.max_epochs?"),
        (["train", "--optimizer.max_epochs", "3"], "did you mean --optimiser.max_epochs?"),
        (["train", "--qwv", "3"], "there is no setting --qwv\n"),
        (["sample", "a.json", "b.json"], "unexpected argument 'b.json'"),
        (["sampel"], "invalid choice: 'sampel'"),
        ([], "required: STAGE"),
    ],
)
def test_unknown_arguments(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "results.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--network", "cgcnn", "--optimiser.max_epochs", "0"], "optimiser.max_epochs: Input should be"),
        (["train"], "network: Field required"),
        (["train", "--network", "cgcnn", "--options.latent", "3"], "latent: there is no such setting"),
        (["sample", "--targets", "gap"], "--targets: 'gap': write NAME=VALUE"),
        (["sample", "--targets", "{gap"], "--targets: "),
        (["sample", "--n_samples", "many"], "n_samples"),
    ],
)
def test_values_that_are_not_accepted(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["status"] == "settings_rejected"
    assert message in results["message"]


@pytest.mark.parametrize("stage", STAGES)
def test_help_names_every_setting_with_what_it_accepts(stage: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([stage, "--help"])
    assert ended.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for name in STAGES[stage].model_fields:
        assert f"--{name} " in text
    assert "--device {auto,cpu,cuda}" in text
    if stage == "train":
        assert "--optimiser.max_epochs INT Passes over the training part. (at least 1; 100)" in text
        assert "--network {unet,vae,prior,cgcnn,voxelnet}" in text
        assert "local vae: (at least 8, in steps of 8; 48)" in text
        assert text.count("reached after the first quarter") == 1


def test_a_file_that_is_no_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, results = command(tmp_path, "sample", [1], monkeypatch)
    assert (code, results["status"]) == (1, "settings_rejected")
    assert "an object of settings is needed, found [1]" in results["message"]


def test_it_runs_without_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["rebuild", "--seed", "4"]) == 1
    results = json.loads((tmp_path / "results.json").read_text())
    assert (results["status"], results["seed"]) == ("input_missing", 4)
