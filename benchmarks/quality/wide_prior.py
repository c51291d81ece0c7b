"""The prior of `wide` on a GPU: the loss and the data of ``icsg3d train``, every step replayed as a CUDA graph.

    python benchmarks/quality/wide_prior.py --dataset FOLDER/dataset.h5 --seconds 505 \\
        --vae icsg3d_models/pretrained/wide/vae.safetensors --output results/wide_prior

A step of so small a network is two thousand short kernels, and launching them one by one takes longer than they do.
Crystals on one grid make batches of one size, so that a step can be captured once a grid and replayed.
The latents of every crystal are encoded once, about each atom that may be its origin and inverted. How many steps fit
into the time is measured first; the learning rate is a cosine over them. What comes is a model file with its card.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from icsg3d_models.data.datasets import read_dataset
from icsg3d_models.fields.batches import CrystalBatch
from icsg3d_models.fields.grids import Grid, same_grids
from icsg3d_models.networks.model_file import ModelHeader, file_hash, save_model
from icsg3d_models.results import versions
from icsg3d_models.settings import TrainSettings
from icsg3d_models.training.tasks.local_prior_task import CELLS, LocalPriorTask, Part, rarest_sites

WARM_UP = 300  # steps with a rising learning rate, after which the speed is known
FEW, SELDOM = 32, 3  # crystals of a grid below which it is visited only every so many epochs
AT_ONCE = 256  # crystals that are encoded at once
CLIP = 1.0  # norm of the gradient


@dataclass
class Group:
    """Crystals on one grid, with the latents of each about every atom that may be its origin, and inverted.

    :param rows: (N,) of the training part.
    :param first: (N,) of its latents among those of the group; ``count``: how many it has.
    :param crystal: (V,) of the training part; ``origin``: (V, 3); ``sign``: (V, 1).
    :param mean: (V, Z, mx, my, mz) half; ``deviation``: the same.
    :param chosen: (b,) which of the V the next step takes.
    """

    grid: Grid
    rows: np.ndarray
    first: np.ndarray
    count: np.ndarray
    crystal: Tensor
    origin: Tensor
    sign: Tensor
    mean: Tensor
    deviation: Tensor
    chosen: Tensor
    graph: torch.cuda.CUDAGraph | None = None

    def batches(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Return what the steps of an epoch take: every crystal once, a few of them twice to fill the last batch."""
        size = len(self.chosen)
        order = rng.permutation(len(self.rows))
        order = np.concatenate([order, rng.choice(order, -len(order) % size)])
        variant = self.first[order] + (rng.random(len(order)) * self.count[order]).astype(np.int64)
        return list(variant.reshape(-1, size))


@torch.no_grad()
def group_of(task: LocalPriorTask, grid: Grid, rows: np.ndarray, batch_size: int, device: torch.device) -> Group:
    """Encode the crystals of one grid."""
    batch = task.parts["train"].batch.take(rows).trimmed()
    where, site = rarest_sites(batch).nonzero(as_tuple=True)
    where, site = where.repeat(2), site.repeat(2)
    sign = torch.ones(len(where), 1, device=device)
    sign[len(where) // 2 :] = -1
    order = torch.argsort(where, stable=True)
    where, site, sign = where[order], site[order], sign[order]
    origin = batch.frac[where, site]
    means, deviations = [], []
    for some in torch.arange(len(where), device=device).split(AT_ONCE):
        own = batch.take(where[some])
        moved = sign[some, :, None] * (own.frac - origin[some][:, None])
        mean, log_variance = task.vae.encode(CrystalBatch(own.cell, moved, own.numbers), grid)
        means.append(mean.half())
        deviations.append((0.5 * log_variance).exp().half())
    count = torch.bincount(where, minlength=len(rows)).cpu().numpy()
    size = math.ceil(len(rows) / math.ceil(len(rows) / batch_size))
    return Group(
        grid, rows, np.cumsum(count) - count, count, torch.from_numpy(rows).to(device)[where], origin, sign,
        torch.cat(means), torch.cat(deviations), torch.zeros(size, dtype=torch.long, device=device),
    )  # fmt: skip


class Training:
    """Steps on all grids."""

    def __init__(self, task: LocalPriorTask, options: argparse.Namespace, device: torch.device) -> None:
        self.task, self.options, self.device = task, options, device
        self.module = task.module.train()
        self.weights = list(self.module.parameters())
        for weight in self.weights:
            weight.grad = torch.zeros_like(weight)
        self.rate = torch.zeros((), device=device)
        on_gpu = device.type == "cuda"
        self.optimiser = torch.optim.AdamW(
            self.weights, lr=self.rate if on_gpu else 0.0, betas=(0.9, 0.98), weight_decay=options.weight_decay,
            fused=True, capturable=on_gpu,
        )  # fmt: skip
        self.generator = torch.cuda.default_generators[device.index or 0] if on_gpu else torch.default_generator
        self.loss, self.average = torch.zeros(2, device=device), [w.detach().clone() for w in self.weights]
        sizes = task.sizes["train"]
        groups = same_grids(sizes)
        self.groups = [group_of(task, grid, rows.numpy(), options.batch_size, device) for grid, rows in groups]

    def step(self, group: Group) -> None:
        """Take a step on the crystals that are chosen in a group."""
        task, chosen = self.task, group.chosen
        torch._foreach_zero_([w.grad for w in self.weights])
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda", cache_enabled=False):
            any_rows = torch.randint(task.n_train, (CELLS,), generator=self.generator, device=self.device)
            lattice = task.lattice_loss(self.module, "train", any_rows, self.generator)
            part, crystal = task.parts["train"], group.crystal[chosen]
            mean, deviation = group.mean[chosen].float(), group.deviation[chosen].float()
            draw = torch.randn(mean.shape, generator=self.generator, device=self.device)
            operations = replace(
                part.operations,
                rotations=part.operations.rotations[crystal],
                translations=part.operations.translations[crystal],
                share=part.operations.share[crystal],
            )
            with torch.autocast(self.device.type, enabled=False):
                operations = operations.about(group.origin[chosen], group.sign[chosen])
            cells = CrystalBatch(part.batch.cell[crystal], part.batch.frac[crystal], part.batch.numbers[crystal])
            own = Part(cells, part.rows[crystal], operations, part.known[crystal])
            latent = task.flow_loss(self.module, mean + draw * deviation, own, group.grid, self.generator)
        # A step on a few crystals is not worth as much as one on many.
        (lattice + latent * min(1.0, len(chosen) / 64)).backward()
        torch.nn.utils.clip_grad_norm_(self.weights, CLIP, foreach=True)
        self.optimiser.step()
        self.loss.copy_(torch.stack([lattice.detach(), latent.detach()]))

    def capture(self) -> None:
        """Capture the step of every grid; the steps before change no weight."""
        pool = None
        for group in self.groups:
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                self.step(group)
            torch.cuda.current_stream().wait_stream(stream)
            group.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(group.graph, pool=pool):
                self.step(group)
            pool = group.graph.pool()

    def epoch(self, number: int) -> list[tuple[Group, np.ndarray]]:
        """Return the steps of an epoch."""
        rng = np.random.default_rng((self.options.seed, number))
        steps = [
            (group, batch)
            for index, group in enumerate(self.groups)
            if len(group.rows) >= FEW or (index + number) % SELDOM == 0
            for batch in group.batches(rng)
        ]
        return [steps[i] for i in rng.permutation(len(steps))]

    def take(self, group: Group, batch: Tensor, rate: float, decay: float) -> None:
        """Take one step and move the average of the weights."""
        group.chosen.copy_(batch)
        if group.graph is None:
            self.optimiser.param_groups[0]["lr"] = rate
            self.step(group)
        else:
            self.rate.fill_(rate)
            group.graph.replay()
        with torch.no_grad():
            torch._foreach_lerp_(self.average, self.weights, 1 - decay)

    def averaged(self) -> dict[str, Tensor]:
        """Return the average of the weights with the buffers."""
        state = {name: value.detach().clone() for name, value in self.module.state_dict().items()}
        names = [name for name, _ in self.module.named_parameters()]
        return state | {name: value.clone() for name, value in zip(names, self.average, strict=True)}


def train(training: Training, options: argparse.Namespace) -> tuple[dict[str, Tensor], list[dict[str, float]], int]:
    """Train for the time that is given; return the best weights, the validations, and the steps."""
    task, device = training.task, training.device
    began = time.monotonic()
    if device.type == "cuda":
        training.capture()
        torch.cuda.synchronize()
        print(f"captured {len(training.groups)} grids, {time.monotonic() - began:.1f} s", flush=True)
    best: dict[str, Tensor] = {}
    history: list[dict[str, float]] = []
    total, step, number, warm, told = options.steps, 0, 0, 0.0, 0
    judged = type(task.module)(task.module.config).to(device).eval()
    while total is None or step < total:
        steps = training.epoch(number)
        number += 1
        batches = torch.from_numpy(np.concatenate([batch for _, batch in steps])).to(device)
        for (group, _), batch in zip(steps, batches.split([len(b) for _, b in steps]), strict=True):
            share = 0.0 if total is None else (step - WARM_UP) / max(1, total - WARM_UP)
            cosine = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * max(0.0, share)))
            rate = options.learning_rate * min(1.0, (step + 1) / WARM_UP) * cosine
            training.take(group, batch, rate, min(options.ema, (1 + step) / (10 + step)))
            step += 1
            if step % 50 == 0:
                loss = training.loss.tolist()  # waits for the device, so that it never falls far behind
                if not all(map(math.isfinite, loss)):
                    raise SystemExit(f"the loss became {loss} at step {step}; lower --learning-rate")
                late = time.monotonic() - began > 1.04 * options.seconds and options.steps is None
                if late and total is not None:
                    total = step  # slower than it was measured: what there is by now counts
            if step == WARM_UP // 3:
                warm = time.monotonic()
            if step == WARM_UP and total is None:
                each = (time.monotonic() - warm) / (WARM_UP - WARM_UP // 3)
                left = options.seconds - (time.monotonic() - began) - options.validations * options.judging
                total = step + int(max(left, 0) / each)
                print(f"{1e3 * each:.1f} ms a step, {total} steps in all, {len(steps)} an epoch", flush=True)
            if total is not None and (step >= total or step * options.validations // total > told):
                told = step * options.validations // total
                judged.load_state_dict(training.averaged())
                row = {"epoch": number, "step": step, "seconds": round(time.monotonic() - began, 1)}
                row |= dict(zip(("train_lattice", "train_latent"), training.loss.tolist(), strict=True))
                row |= task.validate(judged)
                if not history or row["loss"] < min(r["loss"] for r in history):
                    best = training.averaged()
                history.append(row)
                print(json.dumps(row), flush=True)
                if step >= total:
                    break
    return best, history, step


def main() -> None:
    """Read the command line, train and write the model file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--vae", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=480.0, help="of the training (%(default)s)")
    parser.add_argument("--steps", type=int, help="instead of the seconds")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--depth", type=int, default=6)
    parser.add_argument("--lattice-width", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--learning-rate", type=float, default=1.5e-3)
    parser.add_argument("--weight-decay", type=float, default=0.01)
    parser.add_argument("--ema", type=float, default=0.999)
    parser.add_argument("--validations", type=int, default=12)
    parser.add_argument("--judging", type=float, default=2.5, help="seconds of one validation (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    shape = {"width": options.width, "depth": options.depth, "lattice_width": options.lattice_width}
    given: dict[str, Any] = {
        "network": "prior",
        "dataset": str(options.dataset),
        "vae": str(options.vae),
        "seed": options.seed,
    }
    targets = ["formation_energy_per_atom", "e_above_hull"]
    optimiser = {"batch_size": options.batch_size, "learning_rate": options.learning_rate, "gradient_clip": CLIP,
                 "ema": options.ema, "weight_decay": options.weight_decay}  # fmt: skip
    given |= {"optimiser": optimiser, "precision": "bfloat16" if device.type == "cuda" else "float32"}
    settings = TrainSettings.model_validate({**given, "targets": targets, "options": shape})
    dataset = read_dataset(options.dataset)
    torch.manual_seed(options.seed)
    began = time.monotonic()
    task = LocalPriorTask.build(settings, dataset, device)
    training = Training(task, options, device)
    print(f"encoded {sum(len(g.mean) for g in training.groups)} latents, {time.monotonic() - began:.1f} s", flush=True)
    best, history, steps = train(training, options)
    task.module.load_state_dict(best)
    task.module.eval()
    card = {
        "data": {"name": dataset.name, "content_hash": dataset.content_hash(), "citation": dataset.citation},
        "inputs": {"dataset": dataset.content_hash(), "vae": file_hash(options.vae)},
        "split": {name: int((dataset.split == i).sum()) for i, name in enumerate(("train", "validation", "test"))},
        "settings": {
            **settings.model_dump(exclude_defaults=True),
            "dataset": options.dataset.name,
            "vae": options.vae.name,
        },
        "seed": options.seed,
        "parameters": sum(p.numel() for p in task.module.parameters()),
        "steps": steps,
        "validation": min(history, key=lambda row: row["loss"]),
        "test": task.test(task.module),
        "seconds": round(time.monotonic() - began, 1),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "versions": versions(),
    }
    options.output.mkdir(parents=True, exist_ok=True)
    with open(options.output / "metrics.csv", "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(history[0]))
        writer.writeheader()
        writer.writerows(history)
    header = ModelHeader("prior", task.config, card, type(task.module).__name__)
    print(save_model(options.output / "prior.safetensors", header, best), card["test"])


if __name__ == "__main__":
    main()
