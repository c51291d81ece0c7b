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

from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.data.datasets import Dataset
from icsg3d_models.fields.batches import to_batch
from icsg3d_models.fields.grids import grid_sizes
from icsg3d_models.fields.occupancy import occupancy_field
from icsg3d_models.networks.model_file import ModelHeader, file_hash, load_weights, read_header, save_model
from icsg3d_models.networks.vae import VAE, VAEConfig
from icsg3d_models.results import Report, StageError
from icsg3d_models.settings import TrainSettings
from icsg3d_models.training.augmentation import DECORATED, decorated, moved, repeated
from icsg3d_models.training.loop import Trainer
from icsg3d_models.training.loop.checkpoint import LAST, load_checkpoint
from icsg3d_models.training.task import Task
from icsg3d_models.training.tasks.prior_task import PriorTask, valid_rows
from icsg3d_models.training.train import run


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


@pytest.mark.parametrize("every", [7, 25])
def test_a_device_that_is_looked_at_now_and_then_keeps_the_same_state(tmp_path: Path, every: int) -> None:
    """The steps after the first bad loss are skipped, so that nothing is lost by noticing it late."""
    found = []
    for number in (1, every):
        one = trainer(tmp_path / str(number), Line(spoil_at=0.55))
        one.guard.every = number
        with pytest.raises(StageError, match=r"the loss became nan at step 34 of 60 \(error [0-9.e-]+\)") as stopped:
            one.run()
        assert stopped.value.status == "loss_not_finite"
        found.append(load_checkpoint(tmp_path / str(number) / "checkpoint", "cgcnn"))
    assert found[0]["step"] == found[1]["step"] == 33
    for name in ("weight", "bias"):
        assert torch.equal(found[0]["module"][name], found[1]["module"][name])
    # training that never diverges is the same too
    whole = trainer(tmp_path / "whole").run()
    late = trainer(tmp_path / "late")
    late.guard.every = every
    assert all(torch.equal(whole.best[k], v) for k, v in late.run().best.items())


def test_a_loss_of_the_validation_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    task = Line()
    task.validate = lambda _module: {"loss": float("nan")}  # type: ignore[method-assign]
    with pytest.raises(StageError, match="the loss of the validation is nan after step 5") as stopped:
        trainer(tmp_path, task).run()
    assert stopped.value.status == "loss_not_finite"


def test_a_run_that_is_killed_early_has_its_first_epoch_behind_it(tmp_path: Path) -> None:
    task, steps = Line(), []
    task.at_call = lambda call: steps.append((tmp_path / "checkpoint" / LAST).exists())
    trainer(tmp_path, task).run()
    assert steps[:5] == [False] * 5
    assert all(steps[5:])


def test_steps_of_a_small_training_part(tmp_path: Path) -> None:
    """Five steps an epoch: more epochs to reach the least, fewer to stay below the most, validated at the end."""
    few = trainer(tmp_path / "few", optimiser={"max_epochs": 2, "min_steps": 31, "batch_size": 8}).run()
    assert few.step == 35
    assert [row["epoch"] for row in few.history] == [3, 6, 7]
    most = trainer(tmp_path / "most", optimiser={"max_epochs": 12, "max_steps": 8, "batch_size": 8}).run()
    assert [(row["epoch"], row["step"]) for row in most.history] == [(1, 5), (2, 8)]


def test_progress_says_how_long_by_measured_steps(tmp_path: Path) -> None:
    trainer(tmp_path).run()
    lines = [json.loads(line) for line in (tmp_path / "progress.jsonl").read_text().splitlines()]
    assert [(line["done"], line["total"], line["step"], line["steps"]) for line in lines[:2]] == [
        (1, 12, 5, 60), (2, 12, 10, 60)
    ]  # fmt: skip
    assert lines[-1]["seconds_left"] == 0
    assert all(line["seconds_left"] >= 0 for line in lines[1:])


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
            "vae": "vae.safetensors", "targets": ["formation_energy_per_atom"], "unet": "unet.safetensors",
            "trial_samples": 3,
        },
    ]  # fmt: skip
    for extra in wanted:
        report = Report("train", folder)
        run(TrainSettings.model_validate({**common, **extra}), report)
        header = read_header(folder / str(extra["output"]), str(extra["network"]))
        assert header.card["data"]["content_hash"] == report.inputs["dataset"]
        assert header.card["test"]["loss"] > 0
        assert load_weights(folder / str(extra["output"]))
    # two epochs are too few, and the trial says so in results and card
    trial = read_header(folder / "prior.safetensors", "prior").card["trial"]
    assert trial == report.tables["trial"]
    assert (trial["part"], trial["tried"], trial["needs_more"]) == ("test", 3, "unet")
    assert "the unet needs more steps" in report.note
    assert report.tables["model"]["sha256"] == file_hash(folder / "prior.safetensors")
    lines = [json.loads(line) for line in (folder / "progress.jsonl").read_text().splitlines()]
    assert [line["done"] for line in lines] == [1, 2] * 3


def test_networks_of_a_spacing_learn_crystals_of_many_shapes(tmp_path: Path) -> None:
    """A U-Net on grids that follow the cell makes the VAE a local one, and both are tested on all grids."""
    rng = np.random.default_rng(0)
    shapes = [np.diag([2.5, 3.9, 6.1]), 3.97 * np.eye(3), np.array([[3.1, 0, 0], [0.4, 3.3, 0], [-0.6, 0.5, 3.2]])]
    cells = [shapes[i % 3] * rng.uniform(0.98, 1.02) for i in range(24)]
    numbers = [rng.choice([6, 8], 1 + i % 3) for i in range(24)]
    crystals = Crystals.from_arrays(
        cells, [rng.random((len(z), 3)) for z in numbers], numbers, [str(i) for i in range(24)]
    )
    split = np.array([0] * 18 + [1] * 3 + [2] * 3, dtype=np.uint8)
    Dataset(crystals, {}, split, {}, "shapes").write(tmp_path / "dataset.h5")
    common = {"dataset": "dataset.h5", "optimiser": {"max_epochs": 2, "batch_size": 4}, "device": "cpu"}
    small = {"width": 8, "depth": 1, "lattice_width": 8}
    networks = {"unet": {"spacing": 0.4, "width": 8}, "vae": {"width": 8, "channels": 4}, "prior": small}
    for network, options in networks.items():
        chosen = {**common, "network": network, "options": options, "output": f"{network}.safetensors"}
        before = {"vae": {"unet": "unet.safetensors"}, "prior": {"vae": "vae.safetensors"}}.get(network, {})
        report = Report("train", tmp_path)
        run(TrainSettings.model_validate({**chosen, **before}), report)
        if network == "prior":
            continue  # in reduced cells, and rare grids more often
        assert report.counts["steps"] == 2 * sum(-(-n // 4) for n in grid_counts(crystals.take(range(18))))
        assert report.scalars["test_loss"] > 0
    header = read_header(tmp_path / "vae.safetensors", "vae")
    assert header.config["spacing"] == 0.4
    spread = load_weights(tmp_path / "vae.safetensors")["latent_std"]
    assert not torch.equal(spread, torch.ones(4))
    assert read_header(tmp_path / "prior.safetensors", "prior").config["spacing"] == 0.4


def test_a_prior_of_crystals_whose_composition_is_valid(dataset_file: Path) -> None:
    """Sodium dichloride is not neutral: of the training part, the prior is to see the others only."""
    ideal = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    rocks = [np.array([82, 22, 8, 8, 8]), np.array([11, 17, 17]), np.array([11, 17]), np.array([11, 17, 17])]
    crystals = Crystals.from_arrays(
        [3.9 * np.eye(3)] * 4, [ideal[: len(z)] for z in rocks], rocks, ["PbTiO3", "NaCl2", "NaCl", "test"]
    )
    dataset = Dataset(crystals, {}, np.array([0, 0, 0, 2], dtype=np.uint8), {}, "rocks")
    assert valid_rows(dataset, dataset.split == 0).tolist() == [0, 2]
    with pytest.raises(StageError, match="no training crystal has a valid composition"):
        valid_rows(dataset, dataset.split == 2)
    torch.manual_seed(0)
    vae = VAE(VAEConfig(elements=[8, 11, 17, 22, 82], latent=4, width=8, lattice_mean=[1.4] * 6, lattice_std=[0.1] * 6))
    path = dataset_file.parent / "vae.safetensors"
    save_model(path, ModelHeader("vae", vae.config.model_dump(), {}), vae.state_dict())
    for valid, count in ((True, 2), (False, 3)):
        options = {"width": 16, "depth": 1, "valid_compositions": valid}
        settings = TrainSettings(network="prior", vae=str(path), options=options)
        task = PriorTask.build(settings, dataset, torch.device("cpu"))
        assert task.n_train == count
        loss, _ = task.loss(np.arange(count), torch.Generator().manual_seed(0), 0.0)
        assert torch.isfinite(loss)


def grid_counts(crystals: Crystals) -> list[int]:
    """Return how many crystals share each grid."""
    sizes = grid_sizes(torch.from_numpy(crystals.cell), 0, 0.4)
    return torch.unique(sizes, dim=0, return_counts=True)[1].tolist()


def test_crystals_of_the_training_are_moved_and_stay_themselves() -> None:
    """Origin, displacements and strain are drawn per crystal; without rattling only the origin is new."""
    crystals = Crystals.from_arrays(
        [4 * np.eye(3)] * 2, [np.array([[0, 0, 0], [0.5, 0.5, 0.5]])] * 2, [[6, 8]] * 2, "ab"
    )
    batch = to_batch(crystals)
    same = moved(batch, 0.0, torch.Generator().manual_seed(0))
    torch.testing.assert_close(same.cell, batch.cell)
    apart = (same.frac[:, 1] - same.frac[:, 0]) % 1.0
    torch.testing.assert_close(apart, torch.full((2, 3), 0.5))
    assert (same.frac[0] - same.frac[1]).abs().max() > 0.01
    rattled = moved(batch, 0.1, torch.Generator().manual_seed(0))
    stretch = rattled.cell / 4
    torch.testing.assert_close(stretch, stretch.transpose(1, 2))
    assert ((torch.linalg.det(stretch) > 0.6) & (torch.linalg.det(stretch) < 2.2)).all()
    assert stretch[0, 0, 1].abs() > 1e-5


def test_repeated_crystals_have_the_same_field() -> None:
    crystals = Crystals.from_arrays([np.diag([3.0, 4, 5])], [np.array([[0.1, 0.2, 0.3]])], [np.array([8])], ["a"])
    batch = to_batch(crystals)
    found = [repeated(batch, torch.Generator().manual_seed(seed)) for seed in range(40)]
    large = [b for b in found if b.frac.shape[1] == 2]
    assert 4 <= len(large) <= 22
    grid = (8, 12, 16)
    field = occupancy_field(batch, grid)
    for b in large:
        factors = (b.cell[0].norm(dim=1) / batch.cell[0].norm(dim=1)).round().int().tolist()
        assert sorted(factors) == [1, 1, 2]
        doubled = occupancy_field(b, (grid[0] * factors[0], grid[1] * factors[1], grid[2] * factors[2]))
        torch.testing.assert_close(doubled, field.repeat(1, 1, *factors), atol=1e-4, rtol=1e-3)


def test_decorated_crystals_mix_a_few_elements_and_the_others_stay() -> None:
    numbers = torch.full((2000, 6), 6)
    numbers[:, 5] = 0
    other = decorated(numbers, [8, 22, 82, 12], torch.Generator().manual_seed(1))
    assert (other[:, 5] == 0).all()
    changed = (other[:, :5] != 6).any(dim=1)
    assert changed.float().mean() == pytest.approx(DECORATED, abs=0.03)
    assert (other[~changed, :5] == 6).all()
    assert set(other[changed, :5].flatten().tolist()) == {8, 12, 22, 82}
    kinds = [len(set(row.tolist())) for row in other[changed, :5]]
    assert max(kinds) == 3
    assert min(kinds) == 1


def test_a_network_without_what_it_needs_says_so(dataset_file: Path) -> None:
    report = Report("train", dataset_file.parent)
    with pytest.raises(StageError, match="needs `unet`"):
        run(TrainSettings(network="vae", device="cpu"), report)
    with pytest.raises(StageError, match="needs `vae`"):
        run(TrainSettings(network="prior", device="cpu"), report)
