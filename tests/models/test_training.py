"""The training loop: determinism, resume, deadline, divergence, signals and checkpoints."""

from __future__ import annotations

import json
import os
import pickle
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from icsg3d_models.modelfile import load_weights, read_header
from icsg3d_models.results import Report, StageError
from icsg3d_models.settings import TrainSettings
from icsg3d_models.training.checkpoint import LAST, load_checkpoint
from icsg3d_models.training.loop import Trainer
from icsg3d_models.training.stage import run
from icsg3d_models.training.task import Task


class Line(Task):
    """Fit y = 2 x + 1, a network of two numbers."""

    kind = "cgcnn"
    n_train = 40

    def __init__(self, spoil_at: float = 2.0) -> None:
        torch.manual_seed(0)
        self.config = {"inputs": 1}
        self.module = nn.Linear(1, 1)
        self.x = torch.linspace(-1, 1, 40)[:, None]
        self.spoil_at = spoil_at
        self.calls = 0
        self.at_call = lambda _call: None

    @classmethod
    def build(cls, *_arguments: object) -> Task:
        return cls()

    def loss(
        self, indices: np.ndarray, generator: torch.Generator, step_fraction: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        self.calls += 1
        self.at_call(self.calls)
        x = self.x[indices] + 0.01 * torch.randn(len(indices), 1, generator=generator)
        error = ((self.module(x) - 2 * x - 1) ** 2).mean()
        return (error * torch.nan if step_fraction >= self.spoil_at else error), {"error": error}

    def validate(self, module: nn.Module) -> dict[str, float]:
        with torch.no_grad():
            return {"loss": float(((module(self.x) - 2 * self.x - 1) ** 2).mean())}

    def test(self, module: nn.Module) -> dict[str, float]:
        return self.validate(module)


def settings(**changes: object) -> TrainSettings:
    optimiser = {"max_epochs": 12, "batch_size": 8, "learning_rate": 0.4, "ema": 0.5}
    return TrainSettings.model_validate({"network": "cgcnn", "seed": 3, "optimiser": optimiser, **changes})


def trainer(folder: Path, task: Line | None = None, **changes: object) -> Trainer:
    folder.mkdir(parents=True, exist_ok=True)
    return Trainer(task or Line(), settings(**changes), Report("train", folder), torch.device("cpu"))


def test_same_seed_same_weights_and_the_line_is_found(tmp_path: Path) -> None:
    one, two = trainer(tmp_path / "a").run(), trainer(tmp_path / "b").run()
    assert one.best_loss < 1e-2
    assert all(torch.equal(one.best[k], two.best[k]) for k in one.best)


@pytest.mark.parametrize("stop_after", [3, 5, 37])
def test_a_resumed_training_takes_the_same_steps(tmp_path: Path, stop_after: int) -> None:
    whole = trainer(tmp_path / "whole").run()
    task = Line()
    task.at_call = lambda call: os.kill(os.getpid(), signal.SIGTERM) if call == stop_after else None
    with pytest.raises(StageError) as stopped:
        trainer(tmp_path / "part", task).run()
    assert stopped.value.status == "interrupted"
    rest = trainer(tmp_path / "part", resume_from="checkpoint")
    resumed = rest.run()
    assert resumed.step == whole.step
    assert all(torch.equal(whole.best[k], resumed.best[k]) for k in whole.best)
    assert (tmp_path / "part/metrics.csv").read_text().count("\n") == 13  # header and one row an epoch


def test_the_deadline_leaves_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="go on with `resume_from`") as stopped:
        trainer(tmp_path, deadline_seconds=1e-9).run()
    assert stopped.value.status == "walltime"
    assert load_checkpoint(tmp_path / "checkpoint", "cgcnn")["step"] == 1


def test_a_diverged_training_keeps_the_last_good_state(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"lower `optimiser\.learning_rate`") as stopped:
        trainer(tmp_path, Line(spoil_at=0.5)).run()
    assert stopped.value.status == "loss_not_finite"
    saved = load_checkpoint(tmp_path / "checkpoint", "cgcnn")
    assert saved["step"] == 30
    assert all(torch.isfinite(v).all() for v in saved["module"].values())


def test_patience_ends_a_training_that_does_not_improve(tmp_path: Path) -> None:
    optimiser = {"max_epochs": 500, "batch_size": 8, "learning_rate": 0.1, "ema": 0.0, "patience": 3}
    state = trainer(tmp_path, optimiser=optimiser).run()
    assert state.step < 500 * 5


class Evil:
    """Makes a file when unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return os.mkdir, ("pwned",)


def test_foreign_checkpoints_are_refused_and_run_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StageError, match="no checkpoint there"):
        load_checkpoint(tmp_path, "vae")
    (tmp_path / LAST).write_bytes(pickle.dumps(Evil()))
    with pytest.raises(StageError, match="no checkpoint of icsg3d"):
        load_checkpoint(tmp_path, "vae")
    assert not (tmp_path / "pwned").exists()
    trainer(tmp_path).run()
    whole = (tmp_path / "checkpoint" / LAST).read_bytes()
    (tmp_path / "checkpoint" / LAST).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StageError) as refused:
        load_checkpoint(tmp_path / "checkpoint", "cgcnn")
    assert refused.value.status == "input_unreadable"
    (tmp_path / "checkpoint" / LAST).write_bytes(whole)
    with pytest.raises(StageError, match="of cgcnn, not of vae"):
        load_checkpoint(tmp_path / "checkpoint", "vae")


def test_unet_then_vae_then_prior_on_a_small_set(dataset_file: Path) -> None:
    """Train the three networks for a few steps and read what they leave behind."""
    folder = dataset_file.parent
    optimiser = {"max_epochs": 2, "batch_size": 8}
    common = {"dataset": "dataset.h5", "optimiser": optimiser, "device": "cpu"}
    wanted = [
        {"network": "unet", "output": "unet.safetensors", "options": {"width": 8}},
        {"network": "vae", "output": "vae.safetensors",
         "options": {"width": 8, "latent": 8}, "unet": "unet.safetensors"},
        {
            "network": "prior", "output": "prior.safetensors", "options": {"width": 16, "depth": 1},
            "vae": "vae.safetensors", "targets": ["formation_energy_per_atom"],
        },
    ]  # fmt: skip
    for extra in wanted:
        report = Report("train", folder)
        run(TrainSettings.model_validate({**common, **extra}), report)
        header = read_header(folder / str(extra["output"]), str(extra["network"]))
        assert header.card["data"]["content_hash"] == report.inputs["dataset"]
        assert header.card["test"]["loss"] > 0
        assert load_weights(folder / str(extra["output"]))
    lines = [json.loads(line) for line in (folder / "progress.jsonl").read_text().splitlines()]
    assert [line["done"] for line in lines] == [1, 2] * 3


def test_a_network_without_what_it_needs_says_so(dataset_file: Path) -> None:
    report = Report("train", dataset_file.parent)
    with pytest.raises(StageError, match="needs `unet`"):
        run(TrainSettings(network="vae", device="cpu"), report)
    with pytest.raises(StageError, match="needs `vae`"):
        run(TrainSettings(network="prior", device="cpu"), report)
