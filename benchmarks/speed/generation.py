"""Measure how fast crystals are generated: noise to latent, field, regions, sites, crystal.

    python benchmarks/speed/generation.py --output generation.md
    python benchmarks/speed/generation.py --models results/perov5 --batch 32 128 --output generation.md

The stages are called as the commands `sample`, `segment` and `rebuild` call them, without the files in between.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

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
from icsg3d_models.devices import keep_freed_memory
from icsg3d_models.fields.peaks import separate_peaks
from icsg3d_models.generation.encoding import decode
from icsg3d_models.generation.rebuild import assemble
from icsg3d_models.generation.segment import segment, watershed
from icsg3d_models.networks.prior import Prior
from icsg3d_models.networks.registry import load_network
from icsg3d_models.networks.unet import UNet
from icsg3d_models.networks.vae import VAE
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
    """The three networks and one batch of every intermediate result."""

    def __init__(self, models: Path, batch: int) -> None:
        device = torch.device("cpu")
        vae, unet, prior = (load_network(models / f"{k}.safetensors", k, device) for k in ("vae", "unet", "prior"))
        assert isinstance(vae, VAE)
        assert isinstance(unet, UNet)
        assert isinstance(prior, Prior)
        self.vae, self.unet, self.prior, self.batch = vae, unet, prior, batch
        self.noise = torch.randn(batch, vae.config.latent, generator=torch.Generator().manual_seed(0))
        self.allowed = torch.zeros(batch, len(prior.config.elements))
        self.targets = torch.full((batch, len(prior.config.targets)), math.nan)
        self.latent = self.sample()
        self.fields = self.decode()
        self.regions = self.segment()
        self.built = len(self.rebuild())

    def sample(self) -> torch.Tensor:
        """Return latents, all asked for the same."""
        return self.prior.sample(self.noise, self.allowed, self.targets)

    def sample_drawn(self) -> torch.Tensor:
        """Return latents, each with a condition of its own, as where nothing is asked."""
        allowed, targets = self.prior.drawn(self.batch, torch.Generator().manual_seed(0))
        return self.prior.sample(self.noise, allowed, targets)

    def decode(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return occupancy, species channels and cells."""
        return decode(self.vae, self.latent)

    def segment(self) -> dict[str, torch.Tensor]:
        """Return regions and their elements."""
        occupancy, species, _ = self.fields
        return segment(self.unet, occupancy, species, self.vae.config.elements, SegmentSettings().threshold)

    def rebuild(self) -> Crystals:
        """Return crystals."""
        regions, (occupancy, _, cells) = self.regions, self.fields
        count = regions["count"]
        owner = torch.arange(self.batch).repeat_interleave(count)
        frac = separate_peaks(occupancy[:, 0], cells, owner, regions["peak"]).numpy().astype(np.float64)
        offsets = np.concatenate([[0], np.cumsum(count.numpy())])
        crystals, _, _ = assemble(
            cells.numpy().astype(np.float64),
            frac,
            regions["number"].numpy(),
            regions["confidence"].numpy(),
            offsets,
            np.arange(self.batch),
            RebuildSettings(),
        )
        return crystals

    def stages(self) -> dict[str, tuple[Callable[[], object], int]]:
        """Return every stage with the bytes it has to move: parameters once a batch, what comes in and goes out."""
        latent = self.latent.nbytes
        fields = sum(x.nbytes for x in self.fields)
        regions = sum(x.nbytes for x in self.regions.values())
        return {
            "noise to latent": (self.sample, parameter_bytes(self.prior) + 2 * latent),
            "latent to field": (self.decode, parameter_bytes(self.vae) // 2 + latent + fields),
            "field to regions": (self.segment, parameter_bytes(self.unet) + fields + regions),
            "regions to crystal": (self.rebuild, self.fields[0].nbytes),
        }

    def parts_of_segmentation(self) -> dict[str, Callable[[], object]]:
        """Return the parts of the slowest stage."""
        occupancy, species, _ = self.fields
        with torch.no_grad():
            features = self.unet.features(occupancy, species)
            mask = self.unet.mask_logits(features) > 0
        mask &= occupancy[:, 0] > SegmentSettings().threshold
        return {
            "U-Net": lambda: self.unet.mask_logits(self.unet.features(occupancy, species)),
            "watershed": lambda: watershed(occupancy[:, 0], mask),
        }


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
    parser.add_argument("--batch", type=int, nargs="+", default=[16, 64, 128, 256], help="crystals at once")
    common_options(parser)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    ceiling = product_ceiling(options.repeats)
    rows: list[list[str]] = []
    best: dict[str, tuple[float, int]] = {}
    parts: dict[str, float] = {}
    drawn = math.inf
    for batch in options.batch:
        generator = Generator(options.models, batch)
        sums = np.zeros(4)
        for name, (call, size) in generator.stages().items():
            time, operations = timed(call, options.repeats), flops(call)
            rows.append(row(name, batch, time, operations, size, ceiling))
            sums += time.process, time.wall, operations, size
            best[name] = min(best.get(name, (math.inf, 0)), (time.process / batch, batch))
        if generator.prior.config.examples:
            time, operations = timed(generator.sample_drawn, options.repeats), flops(generator.sample_drawn)
            size = parameter_bytes(generator.prior) + 2 * generator.latent.nbytes
            rows.append(row("noise to latent, nothing asked", batch, time, operations, size, ceiling))
            drawn = min(drawn, time.process / batch)
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
    slower = least - best["noise to latent"][0] + drawn
    free = [f"Where nothing is asked and every sample draws its own condition: {1 / slower:.0f} crystals/s."]
    free = free if math.isfinite(drawn) else []
    lines += [
        "",
        f"Every stage at its best batch ({chosen}): {1e3 * least:.3f} ms a crystal, {1 / least:.0f} crystals/s.",
        f"From the latent on: {1 / (least - best['noise to latent'][0]):.0f} crystals/s.",
        *free,
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
