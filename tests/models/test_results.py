"""What every stage leaves behind, and that it can be written before the work begins."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from icsg3d_models.cli import main
from icsg3d_models.results import Report, StageError, try_outputs
from icsg3d_models.settings import STAGES


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_shown_on_a_terminal_and_written_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    report = Report("train", tmp_path)
    for done in (1, 2, 3):
        report.progress(done, 3, train_loss=0.123456, part="x")
    shown = screen.getvalue()
    assert "train:  33%" in shown
    assert "3/3" in shown
    assert "train_loss 0.1235 part x" in shown
    assert shown.endswith("\n")
    lines = [json.loads(line) for line in (tmp_path / "progress.jsonl").read_text().splitlines()]
    assert [(line["stage"], line["done"], line["total"], line["train_loss"]) for line in lines] == [
        ("train", done, 3, 0.123456) for done in (1, 2, 3)
    ]
    Report("train", tmp_path, quiet=True).progress(1, 1)
    assert screen.getvalue() == shown


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("nowhere/model.safetensors", "no such file or directory"),
        ("file/model.safetensors", "not a directory"),
        ("folder", "it is a folder, where a file is to be written"),
        ("/proc/model.safetensors", "cannot be written"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused(tmp_path: Path, path: str, reason: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StageError, match=r"^`output`: .* cannot be written \(") as refused:
        try_outputs(tmp_path, {"output": path})
    assert refused.value.status == "settings_rejected"
    assert reason in str(refused.value)


def test_trying_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_text("old")
    try_outputs(tmp_path, {"output": "model.safetensors", "cache": None}, {"checkpoint": "a/checkpoint"})
    assert (tmp_path / "model.safetensors").read_text() == "old"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "checkpoint", "model.safetensors"]
    with pytest.raises(StageError, match="`checkpoint`"):
        try_outputs(tmp_path, {}, {"checkpoint": "model.safetensors/checkpoint"})


@pytest.mark.parametrize("stage", [name for name in STAGES if name != "chain"])  # whose stages write all that it leaves
def test_every_stage_tries_its_outputs_before_it_reads_its_inputs(
    stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    needed = {"prepare": {"source": "x.csv"}, "train": {"network": "unet"}, "predict": {"composition": "C"}}
    required: dict[str, Any] = needed.get(stage, {})
    outputs = (*STAGES[stage].outputs, *STAGES[stage].output_folders)
    assert outputs
    for name in outputs:
        (tmp_path / "settings.json").write_text(json.dumps({**required, name: "file/x.y"}))
        assert main([stage, "settings.json"]) == 1
        results = json.loads((tmp_path / "results.json").read_text())
        assert (results["status"], results["message"][: len(name) + 2]) == ("settings_rejected", f"`{name}`")
