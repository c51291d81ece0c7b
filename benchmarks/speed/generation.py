"""Measure how fast crystals are generated: noise to latent, field, regions, sites, crystal.

    python benchmarks/speed/generation.py --output generation.md
    python benchmarks/speed/generation.py --models results/perov5 --batch 32 128 --output generation.md

The stages are called as the commands `sample`, `segment` and `rebuild` call them, without the files in between.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import (
    Timing,
    common_options,
    flops,
    header,
    parameter_bytes,
    picture,
    product_ceiling,
    table,
    timed,
)

import icsg3d_models
from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.crystals.elements import SYMBOLS
from icsg3d_models.devices import keep_freed_memory
from icsg3d_models.fields.peaks import separate_peaks
from icsg3d_models.generation.rebuild import assemble
from icsg3d_models.generation.segment import segment, watershed
from icsg3d_models.networks.generator import Drawing, Latents
from icsg3d_models.networks.registry import load_network
from icsg3d_models.settings import RebuildSettings, SegmentSettings

SHIPPED = Path(icsg3d_models.__file__).parent / "pretrained" / "perov5"
COLUMNS = [
    "stage",
    "batch",
    "ms a crystal (process)",
    "ms (wall)",
    "crystals/s (process)",
    "GFLOP a crystal",
    "GFLOP/s",
    "share of the ceiling",
    "kB a crystal",
]


class Generator:
    """The three networks and one batch of every intermediate result; in pieces, where there are several grids."""

    def __init__(self, models: Path, batch: int, asked: dict[str, Any]) -> None:
        device = torch.device("cpu")
        self.vae = load_network(models / "vae.safetensors", "vae", device)
        self.unet = load_network(models / "unet.safetensors", "unet", device)
        self.prior = load_network(models / "prior.safetensors", "prior", device)
        self.batch, self.asked = batch, asked or {"elements": [SYMBOLS[z] for z in self.prior.config.elements]}
        self.latents = self.sample()
        self.fields = self.decode()
        self.regions = self.segment()
        self.built = self.rebuild()

    def sample(self) -> list[Latents]:
        """Return latents, all asked for the same."""
        return list(self.prior.draw(self.asked, self.batch, 0, Drawing(batch_size=self.batch)))

    def sample_unasked(self) -> list[Latents]:
        """Return latents of which nothing is asked."""
        return list(self.prior.draw({}, self.batch, 0, Drawing(batch_size=self.batch)))

    def decode(self) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Return occupancy, species channels and cells."""
        with torch.no_grad():
            return [self.vae.decode(some.latent, some.cell) for some in self.latents]

    def segment(self) -> list[dict[str, torch.Tensor]]:
        """Return regions and their elements."""
        known, threshold = self.vae.config.elements, SegmentSettings().threshold
        return [segment(self.unet, occupancy, species, known, threshold) for occupancy, species, _ in self.fields]

    def rebuild(self) -> int:
        """Return how many crystals come out."""
        return sum(len(rebuilt(*pair)) for pair in zip(self.regions, self.fields, strict=True))

    def stages(self) -> dict[str, tuple[Callable[[], object], int]]:
        """Return every stage with the bytes it has to move: parameters once a batch, what comes in and goes out."""
        latent = sum(some.latent.nbytes for some in self.latents)
        fields = sum(x.nbytes for some in self.fields for x in some)
        regions = sum(x.nbytes for some in self.regions for x in some.values())
        return {
            "noise to latent": (self.sample, parameter_bytes(self.prior) + 2 * latent),
            "latent to field": (self.decode, parameter_bytes(self.vae) // 2 + latent + fields),
            "field to regions": (self.segment, parameter_bytes(self.unet) + fields + regions),
            "regions to crystal": (self.rebuild, sum(some[0].nbytes for some in self.fields)),
        }

    def parts_of_segmentation(self) -> dict[str, Callable[[], object]]:
        """Return the parts of the slowest stage."""
        threshold, masks = SegmentSettings().threshold, []
        with torch.no_grad():
            for occupancy, species, _ in self.fields:
                mask = self.unet.mask_logits(self.unet.features(occupancy, species)) > 0
                masks.append((occupancy[:, 0], mask & (occupancy[:, 0] > threshold)))
        return {
            "U-Net": lambda: [self.unet.mask_logits(self.unet.features(*some[:2])) for some in self.fields],
            "watershed": lambda: [watershed(*some) for some in masks],
        }


def rebuilt(regions: dict[str, torch.Tensor], fields: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> Crystals:
    """Return the crystals of samples on one grid."""
    count, (occupancy, _, cells) = regions["count"], fields
    owner = torch.arange(len(count)).repeat_interleave(count)
    frac = separate_peaks(occupancy[:, 0], cells, owner, regions["peak"]).numpy().astype(np.float64)
    offsets = np.concatenate([[0], np.cumsum(count.numpy())])
    crystals, _, _ = assemble(
        cells.numpy().astype(np.float64),
        frac,
        regions["number"].numpy(),
        regions["confidence"].numpy(),
        offsets,
        np.arange(len(count)),
        RebuildSettings(),
    )
    return crystals


def row(name: str, batch: int, time: Timing, operations: float, size: float, ceiling: float) -> list[str]:
    """Return one row of the table, everything divided by the batch."""
    rate = operations / time.process / 1e9
    return [
        name,
        str(batch),
        f"{1e3 * time.process / batch:.3f}",
        f"{1e3 * time.wall / batch:.3f}",
        f"{batch / time.process:.0f}",
        f"{operations / batch / 1e9:.4f}",
        f"{rate:.0f}",
        f"{100 * rate / ceiling:.0f} %",
        f"{size / batch / 1e3:.0f}",
    ]


def main() -> None:
    """Read the command line, measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=SHIPPED, help="folder of vae, unet and prior; default: shipped")
    parser.add_argument("--asked", default="{}", help="JSON: condition -> value; default: all elements are allowed")
    parser.add_argument("--batch", type=int, nargs="+", default=[16, 64, 128, 256], help="crystals at once")
    common_options(parser)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    ceiling = product_ceiling(options.repeats)
    rows: list[list[str]] = []
    best: dict[str, tuple[float, int]] = {}
    parts: dict[str, float] = {}
    unasked = math.inf
    for batch in options.batch:
        generator = Generator(options.models, batch, json.loads(options.asked))
        sums = np.zeros(4)
        for name, (call, size) in generator.stages().items():
            time, operations = timed(call, options.repeats), flops(call)
            rows.append(row(name, batch, time, operations, size, ceiling))
            sums += time.process, time.wall, operations, size
            best[name] = min(best.get(name, (math.inf, 0)), (time.process / batch, batch))
        time, operations = timed(generator.sample_unasked, options.repeats), flops(generator.sample_unasked)
        size = generator.stages()["noise to latent"][1]
        rows.append(row("noise to latent, nothing asked", batch, time, operations, size, ceiling))
        unasked = min(unasked, time.process / batch)
        for name, call in generator.parts_of_segmentation().items():
            with torch.no_grad():
                time, operations = timed(call, options.repeats), flops(call)
            rows.append(row(f"of regions: {name}", batch, time, operations, 0, ceiling))
            parts[name] = min(parts.get(name, math.inf), time.process / batch)
        rows.append(row(f"all, {generator.built} crystals", batch, Timing(sums[0], sums[1]), sums[2], sums[3], ceiling))
    least = sum(seconds for seconds, _ in best.values())
    chosen = ", ".join(f"{name} {batch}" for name, (_, batch) in best.items())
    lines = header(
        "Generation, latent to crystal",
        ceiling,
        models=", ".join(f"`{p.name}`" for p in sorted(options.models.glob("*.safetensors"))),
        repeats=options.repeats,
    )
    lines += table(COLUMNS, rows)
    slower = least - best["noise to latent"][0] + unasked
    lines += [
        "",
        f"Every stage at its best batch ({chosen}): {1e3 * least:.3f} ms a crystal, {1 / least:.0f} crystals/s.",
        f"From the latent on: {1 / (least - best['noise to latent'][0]):.0f} crystals/s.",
        f"Where nothing is asked: {1 / slower:.0f} crystals/s.",
        "",
        "Operations are those carried out (matrix products and convolutions). Bytes are the least that a stage has to "
        "move: its parameters once a batch, what comes in and what goes out.",
        "",
    ]
    if options.picture is not None:
        bars = {name: 1e3 * seconds for name, (seconds, _) in best.items()}
        bars |= {f"of regions: {name}": 1e3 * seconds for name, seconds in parts.items()}
        picture(options.picture, f"One crystal: {1e3 * least:.2f} ms", bars)
    page = "\n".join(lines)
    options.output.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
