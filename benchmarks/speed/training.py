"""Measure how long training takes until the reconstruction matches, and where the time of a step goes.

    python benchmarks/speed/training.py --dataset dataset.h5 --folder results/speed --output training.md

A U-Net and then a VAE are trained from nothing by the project's own stages, and the test part is encoded, decoded,
segmented, rebuilt and matched (CDVAE's StructureMatcher) after that. Process time is what is reported first: on a
machine that does other work as well it is what one idle core would need at the least.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import Timing, common_options, header, picture, product_ceiling, table, timed
from torch import Tensor

from icsg3d_models.crystals.batch import Crystals, read_crystals
from icsg3d_models.data.datasets import Dataset, read_dataset
from icsg3d_models.devices import keep_freed_memory
from icsg3d_models.evaluation.metrics.reconstruction import match_distances
from icsg3d_models.fields.grids import cube, half
from icsg3d_models.fields.occupancy import occupancy_field, species_field
from icsg3d_models.generation import rebuild as rebuilding
from icsg3d_models.generation import sample as sampling
from icsg3d_models.generation import segment as segmentation
from icsg3d_models.results import Report
from icsg3d_models.settings import RebuildSettings, SampleSettings, SegmentSettings, TrainSettings
from icsg3d_models.training import train as stage
from icsg3d_models.training.loop import Trainer
from icsg3d_models.training.tasks.vae_task import VAETask


def clocked(call: Callable[[], None]) -> Timing:
    """Return the time of one call, made once."""
    start = time.process_time(), time.perf_counter()
    call()
    return Timing(time.process_time() - start[0], time.perf_counter() - start[1])


def settings_of(network: str, options: argparse.Namespace) -> TrainSettings:
    """Return the settings of one training, validated once, at its end."""
    epochs = {"unet": options.unet_epochs, "vae": options.vae_epochs}[network]
    optimiser: dict[str, Any] = {
        "max_epochs": epochs,
        "validate_every": epochs,
        "batch_size": {"unet": options.unet_batch, "vae": options.vae_batch}[network],
        "learning_rate": {"unet": options.unet_rate, "vae": options.vae_rate}[network],
    }
    return TrainSettings.model_validate(
        {
            "network": network,
            "dataset": str(options.dataset.resolve()),
            "unet": "unet.safetensors" if network == "vae" else None,
            "output": f"{network}.safetensors",
            "checkpoint": f"checkpoint_{network}",
            "optimiser": optimiser,
            "threads": options.threads,
            "seed": options.seed,
            "device": "cpu",
        }
    )


def reconstruct(folder: Path, options: argparse.Namespace) -> Crystals:
    """Encode and decode the test part and return what is rebuilt of it, named as the test crystals are."""
    common = {"device": "cpu", "threads": options.threads, "seed": options.seed}
    base = {"base": str(options.dataset.resolve()), "base_part": "test", "register_base": False}
    sampling.run(
        SampleSettings.model_validate({"mode": "reconstruct", **base, "prior": None, **common}),
        Report("sample", folder, quiet=True),
    )
    segmentation.run(SegmentSettings.model_validate(common), Report("segment", folder, quiet=True))
    rebuilding.run(RebuildSettings.model_validate(common), Report("rebuild", folder, quiet=True))
    import h5py

    with h5py.File(folder / "crystals.h5", "r") as file:
        return read_crystals(file["crystals"])


def match(found: Crystals, dataset: Dataset) -> tuple[float, float]:
    """Return the match rate and the mean RMS displacement of what matches."""
    true = dataset.crystals.take(dataset.part("test"))
    true = Crystals.from_arrays(
        list(true.cell),
        [true.sites(i)[0] for i in range(len(true))],
        [true.sites(i)[1] for i in range(len(true))],
        [f"s{i:06d}" for i in range(len(true))],
    )
    distances = match_distances(found, true)
    return float(np.isfinite(distances).mean()), float(np.nanmean(distances))


def step_parts(folder: Path, options: argparse.Namespace, dataset: Dataset) -> list[list[str]]:
    """Return rows with the time of the parts of one step of the VAE."""
    settings = settings_of("vae", options).model_copy(update={"unet": str(folder / "unet.safetensors")})
    task = VAETask.build(settings, dataset, torch.device("cpu"))
    trainer = Trainer(task, settings, Report("train", folder, quiet=True), torch.device("cpu"))
    module, unet = task.module, task.unet
    indices = np.arange(options.vae_batch)
    batch = task.data.parts["train"].take(indices)
    grid = cube(unet.config.grid)
    fields = occupancy_field(batch, grid), species_field(batch, half(grid))

    def loss() -> Tensor:
        return task.loss(indices, torch.Generator().manual_seed(0), 0.5)[0]

    def judge() -> list[Tensor]:
        with torch.no_grad():
            return unet.features(*fields)

    parts: dict[str, Callable[[], object]] = {
        "fields of the crystals": lambda: (occupancy_field(batch, grid), species_field(batch, half(grid))),
        "encoder": lambda: module.encode_fields(*fields, batch.cell),
        "decoder": lambda: module.decode_fields(torch.zeros(len(batch), len(module.latent_std)), batch.cell),
        "U-Net on the fields": judge,
        "loss: all of these, U-Net on what was decoded, species": loss,
        "loss and gradient": lambda: loss().backward(),
        "step: all, with clipping, AdamW and the moving average": lambda: trainer._step(indices),
    }
    rows, bars = [], {}
    for name, call in parts.items():
        time_ = timed(call, options.repeats)
        crystal = time_.process / len(batch)
        bars[name] = 1e3 * crystal
        rows.append([name, f"{1e3 * time_.process:.1f}", f"{1e3 * crystal:.3f}", f"{1 / crystal:.0f}"])
    if options.picture is not None:
        picture(options.picture, f"One step of the VAE, batch of {len(batch)}", bars)
    return rows


def main() -> None:
    """Read the command line, train, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, required=True, help="dataset file of `icsg3d prepare`")
    parser.add_argument("--folder", type=Path, required=True, help="where models and fields are written")
    parser.add_argument("--seed", type=int, default=0)
    for network, epochs, batch, rate in (("unet", 1, 12, 5e-3), ("vae", 3, 18, 3e-3)):
        parser.add_argument(f"--{network}-epochs", type=int, default=epochs)
        parser.add_argument(f"--{network}-batch", type=int, default=batch)
        parser.add_argument(f"--{network}-rate", type=float, default=rate, help="peak of the learning rate")
    common_options(parser)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    options.folder.mkdir(parents=True, exist_ok=True)
    dataset = read_dataset(options.dataset)
    times = {
        name: clocked(lambda name=name: stage.run(settings_of(name, options), Report("train", options.folder)))  # type: ignore[misc]
        for name in ("unet", "vae")
    }
    rate, distance = match(reconstruct(options.folder, options), dataset)
    count = len(dataset.part("train"))
    rows = []
    for name, time_ in times.items():
        epochs, batch = getattr(options, f"{name}_epochs"), getattr(options, f"{name}_batch")
        seen = epochs * (count // batch) * batch
        rows.append(
            [
                name,
                f"{epochs} x {count}",
                str(batch),
                f"{time_.process:.1f}",
                f"{time_.wall:.1f}",
                f"{seen / time_.process:.0f}",
            ]
        )
    total = Timing(sum(t.process for t in times.values()), sum(t.wall for t in times.values()))
    rows.append(["both", "", "", f"{total.process:.1f}", f"{total.wall:.1f}", ""])
    lines = header(
        "Training until the reconstruction matches",
        product_ceiling(options.repeats),
        dataset=f"{dataset.name}, content hash {dataset.content_hash()[:16]}",
        seed=options.seed,
    )
    lines += table(["network", "crystals", "batch", "process s", "wall s", "crystals/s (process)"], rows)
    lines += ["", f"Test part, {len(dataset.part('test'))} crystals that no training saw: match rate {rate:.4f}, "]
    lines[-1] += f"mean RMS displacement {distance:.4f} (StructureMatcher as in CDVAE; times include validation)."
    lines += ["", f"One step of the VAE, batch of {options.vae_batch}:", ""]
    lines += table(
        ["part", "ms a step (process)", "ms a crystal", "crystals/s"], step_parts(options.folder, options, dataset)
    )
    page = "\n".join([*lines, ""])
    options.output.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
