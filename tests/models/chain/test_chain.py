"""The chain gives what its stages give one by one, and goes on after a kill."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from icsg3d_models.chain import chain
from icsg3d_models.cli import main
from icsg3d_models.crystals.crystal_file import read_crystal_file

MODELS = Path(__file__).parents[3] / "icsg3d_models" / "pretrained" / "perov5"
SAMPLE: dict[str, Any] = {"n_samples": 6, "elements": ["Pb", "Ti", "Mg", "O"], "vae": str(MODELS / "vae.safetensors"),
                          "prior": str(MODELS / "prior.safetensors")}  # fmt: skip
SEGMENT: dict[str, Any] = {"unet": str(MODELS / "unet.safetensors"), "elements": SAMPLE["elements"]}
SCREEN: dict[str, Any] = {"predictors": [str(MODELS / "cgcnn.safetensors")], "require": ["structure"], "top": 3}
STAGES = {"sample": SAMPLE, "segment": SEGMENT, "rebuild": {}, "screen": SCREEN}


def settings(**more: Any) -> dict[str, Any]:
    """Return the settings of a chain."""
    return {"seed": 3, **{name: {**part, **more.pop(name, {})} for name, part in STAGES.items()}, **more}


def run(folder: Path, stage: str, content: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Run a stage in a folder: (exit code, results)."""
    folder.mkdir(exist_ok=True)
    (folder / f"{stage}.json").write_text(json.dumps(content))
    before = Path.cwd()
    os.chdir(folder)
    try:
        code = main([stage, f"{stage}.json"])
    finally:
        os.chdir(before)
    return code, json.loads((folder / "results.json").read_text())


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Put the handler of SIGTERM back."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a chain that was not disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    code, results = run(folder, "chain", settings())
    assert code == 0, results
    return folder


def same_crystals(one: Path, other: Path) -> None:
    """Compare all that two folders hold."""
    a, b = (read_crystal_file(folder / "crystals.h5") for folder in (one, other))
    assert list(a.ids) == list(b.ids)
    np.testing.assert_array_equal(a.cell, b.cell)
    np.testing.assert_array_equal(a.frac, b.frac)
    np.testing.assert_array_equal(a.numbers, b.numbers)
    assert (one / "screening.csv").read_text() == (other / "screening.csv").read_text()


def test_equal_to_the_stages_one_by_one(whole: Path, tmp_path: Path) -> None:
    for stage, content in STAGES.items():
        code, results = run(tmp_path, stage, {"seed": 3, **content})
        assert code == 0
        own = json.loads((whole / f"results_{stage}.json").read_text())
        for name in ("stage", "status", "seed", "counts", "scalars", "tables", "device"):
            assert own[name] == results[name], name
    same_crystals(whole, tmp_path)
    with h5py.File(whole / "fields.h5") as one, h5py.File(tmp_path / "fields.h5") as other:
        np.testing.assert_array_equal(one["occupancy"], other["occupancy"])
    results = json.loads((whole / "results.json").read_text())
    assert results["stage"] == "chain"
    assert results["counts"]["samples"] == 6
    assert [entry["kept"] for entry in results["tables"]["stages"].values()] == [False] * 4
    lines = (whole / "progress.jsonl").read_text().splitlines()
    assert list(dict.fromkeys(json.loads(line)["stage"] for line in lines)) == list(STAGES)


def test_after_a_kill_it_goes_on_in_the_same_folder(whole: Path, tmp_path: Path) -> None:
    """As a scheduler does that starts a preempted job again."""
    (tmp_path / "chain_done.json").write_text("")  # not a note that can be read: nothing is done
    (tmp_path / "given.json").write_text(json.dumps(settings(rebuild={"batch_size": 1})))
    process = subprocess.Popen([sys.executable, "-m", "icsg3d_models.cli", "chain", "given.json"], cwd=tmp_path)
    while not (tmp_path / "results_segment.json").exists():
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "results.json").exists()
    made = (tmp_path / "fields.h5").stat().st_mtime_ns
    _, results = run(tmp_path, "chain", settings())
    assert results["status"] == "completed"
    assert results["tables"]["stages"]["sample"]["kept"]
    assert (tmp_path / "fields.h5").stat().st_mtime_ns == made
    same_crystals(whole, tmp_path)


def test_in_another_folder(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As AiiDA does, whose tries have a folder each; that of the first may be cleaned afterwards."""
    first, second = tmp_path / "first", tmp_path / "second"

    def killed(_settings: Any, _report: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setitem(chain.RUN, "rebuild", killed)
        code, results = run(first, "chain", settings())
    assert (code, results["status"], results["message"]) == (1, "interrupted", "rebuild: ended by a signal")
    assert json.loads((first / "results_rebuild.json").read_text())["status"] == "interrupted"
    second.mkdir()
    (second / "earlier").symlink_to(first)
    # with less memory than before: no result depends on it
    _, results = run(second, "chain", settings(resume_from="earlier", segment={"batch_size": 2}))
    kept = {name: entry["kept"] for name, entry in results["tables"]["stages"].items()}
    assert kept == {"sample": True, "segment": True, "rebuild": False, "screen": False}
    shutil.rmtree(first)
    same_crystals(whole, second)
    assert json.loads((second / "results_sample.json").read_text())["counts"] == {"samples": 6}


def test_what_was_made_otherwise_is_made_again(whole: Path, tmp_path: Path) -> None:
    fields = (whole / "fields.h5").read_bytes()
    _, results = run(tmp_path, "chain", settings(resume_from=str(whole), segment={"threshold": 0.4}))
    kept = {name: entry["kept"] for name, entry in results["tables"]["stages"].items()}
    assert kept == {"sample": True, "segment": False, "rebuild": False, "screen": False}
    again = tmp_path / "again"
    model = tmp_path / "vae.safetensors"
    shutil.copyfile(SAMPLE["vae"], model)
    run(again, "chain", settings(sample={"vae": str(model)}))
    model.write_bytes(b"no model")
    _, results = run(again, "chain", settings(sample={"vae": str(model)}))
    assert results["status"] == "input_unreadable"  # the model under that name is another one
    assert results["message"].startswith("sample: ")
    assert (whole / "fields.h5").read_bytes() == fields


def test_without_screening_and_an_earlier_folder_that_is_gone(tmp_path: Path) -> None:
    code, results = run(tmp_path, "chain", settings(last="rebuild", resume_from="nowhere"))
    assert code == 0
    assert list(results["tables"]["stages"]) == ["sample", "segment", "rebuild"]
    assert results["tables"]["notes"] == ["nowhere: no such folder; the chain begins with its first stage"]
    assert not (tmp_path / "screening.csv").exists()


def test_nothing_valid_is_a_result(tmp_path: Path) -> None:
    hopeless = {"volume_per_atom": [1e-3, 2e-3], "require": ["volume"]}
    code, results = run(tmp_path, "chain", settings(screen=hopeless))
    assert (code, results["status"]) == (1, "nothing_valid")
    assert results["message"].startswith("screen: no candidate passed")
    assert (tmp_path / "screening.csv").exists()


def test_files_between_the_stages(tmp_path: Path) -> None:
    code, results = run(tmp_path, "chain", settings(segment={"fields": "others.h5"}))
    assert (code, results["status"]) == (1, "settings_rejected")
    assert "`segment.fields` is 'others.h5', but sample writes 'fields.h5'" in results["message"]
    code, results = run(tmp_path, "chain", settings(sample={"fields": "f.h5", "n_sample": 3}))
    assert "sample.n_sample: there is no such setting; did you mean n_samples" in results["message"]
    (tmp_path / "screening.csv").mkdir()
    _, results = run(tmp_path, "chain", settings())
    assert "`screen.table`: screening.csv cannot be written" in results["message"]


def test_seed_device_and_threads_hold_for_all() -> None:
    from icsg3d_models.settings import ChainSettings

    found = ChainSettings.model_validate({"seed": 5, "device": "cpu", "segment": {"seed": 7}})
    assert [part.seed for _, part in found.stages] == [5, 7, 5, 5]
    assert {part.device for _, part in found.stages} == {"cpu"}
