"""Two processes with halves of every batch give the losses of one with the whole."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from icsg3d_models.data.datasets import Dataset
from icsg3d_models.training.loop.parallel import Team

SETTINGS = {
    "network": "cgcnn", "targets": ["formation_energy_per_atom"], "device": "cpu", "threads": 1,
    "options": {"members": 2, "width": 8, "hidden": 8},
    "optimiser": {"max_epochs": 6, "batch_size": 7, "learning_rate": 0.01},
}  # fmt: skip


def train(folder: Path, dataset: Dataset, *launcher: str, **changes: object) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    dataset.write(folder / "dataset.h5")
    (folder / "settings.json").write_text(json.dumps({**SETTINGS, **changes}))
    command = [sys.executable, *launcher, "-m", "icsg3d_models.cli", "train", "settings.json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def curve(folder: Path) -> np.ndarray:
    with open(folder / "metrics.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return np.array([[float(row[name]) for name in ("step", "train_loss", "loss")] for row in rows])


LAUNCHER = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def test_two_processes_have_the_loss_curve_of_one(dataset: Dataset, tmp_path: Path) -> None:
    one = train(tmp_path / "one", dataset)
    assert one.returncode == 0, one.stderr
    two = train(tmp_path / "two", dataset, *LAUNCHER)
    assert two.returncode == 0, two.stderr
    # the order of a sum of float32 differs; 3e-7 was seen
    np.testing.assert_allclose(curve(tmp_path / "two"), curve(tmp_path / "one"), rtol=1e-5)
    assert two.stdout.count("completed") == 1
    results = json.loads((tmp_path / "two" / "results.json").read_text())
    assert (results["status"], results["counts"]["processes"]) == ("completed", 2)
    lines = (tmp_path / "two" / "progress.jsonl").read_text().splitlines()
    assert [json.loads(line)["done"] for line in lines] == [1, 2, 3, 4, 5, 6]


def test_a_team_stops_together_and_goes_on(dataset: Dataset, tmp_path: Path) -> None:
    stopped = train(tmp_path, dataset, *LAUNCHER, deadline_seconds=1e-3)
    assert stopped.returncode != 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert (results["status"], "after 1 of" in results["message"]) == ("walltime", True)
    rest = train(tmp_path, dataset, resume_from="checkpoint")
    assert rest.returncode == 0, rest.stderr
    assert curve(tmp_path)[-1, 0] == 6 * (len(dataset.part("train")) // 7)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_shares_of_a_batch(size: int) -> None:
    batch = np.arange(7)
    shares = [Team(rank, size).share(batch) for rank in range(size)]
    assert sorted(np.concatenate(shares).tolist()) == batch.tolist()
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
