"""Score the encoding alone: crystals to fields and back without a network, and the cost of the fields.

    python benchmarks/quality/encoding.py --perov perov5.h5 --carbon carbon24.h5 --aflow aflow.h5

The crystals are all ordered prototypes of pymatgen's AFLOW library, other cells of the same ones, supercells of a
perovskite, and the dataset files given (``icsg3d prepare`` writes them). Prints a Markdown page and writes it.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from pymatgen.analysis.prototypes import AFLOW_PROTOTYPE_LIBRARY

from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.data.datasets import read_dataset
from icsg3d_models.evaluation.encoding.roundtrip import RESOLUTION_PER_SIGMA, SIGMA_PER_DISTANCE, roundtrip
from icsg3d_models.evaluation.encoding.site_errors import explain, site_errors
from icsg3d_models.evaluation.encoding.variants import random_origin, supercell, variants
from icsg3d_models.fields.density import gaussian_density
from icsg3d_models.fields.occupancy import OCCUPANCY_SIGMA

TOLERANCE = 0.01  # Å
ICSG3D_SECONDS = 1.15  # a 32³ density of the published code
HEADER = (
    "| crystals | n | sites | points | sigma Å | rebuilt to 0.01 Å | wrong count | wrong species | max Å | mean Å "
    "| ms/crystal |\n|---|---|---|---|---|---|---|---|---|---|---|"
)


def prototypes() -> Crystals:
    """Return every ordered prototype of pymatgen's AFLOW library."""
    structures = [entry["snl"].structure for entry in AFLOW_PROTOTYPE_LIBRARY]
    names = [f"{entry['tags']['aflow']} ({entry['tags']['mineral']})" for entry in AFLOW_PROTOTYPE_LIBRARY]
    kept = [i for i, structure in enumerate(structures) if structure.is_ordered]
    return Crystals.from_structures([structures[i] for i in kept], [f"{names[i]} #{i}" for i in kept])


def some(crystals: Crystals, number: int | None, rng: np.random.Generator) -> Crystals:
    """Return at most ``number`` of the crystals, drawn at random."""
    if number is None or number >= len(crystals):
        return crystals
    return crystals.take(np.sort(rng.choice(len(crystals), number, replace=False)))


class Page:
    """Lines of the page, and the failures met on the way."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.failures: list[str] = []

    def say(self, *lines: str) -> None:
        print(*lines, sep="\n", flush=True)
        self.lines += lines

    def row(self, label: str, crystals: Crystals, listed: bool = True, **options: float | bool | None) -> None:
        """Rebuild the crystals and add a line to the table; name those that fail unless ``listed`` is false."""
        start = time.process_time()
        result = roundtrip(crystals, **options)  # type: ignore[arg-type]
        took = time.process_time() - start
        errors = site_errors(crystals, result.crystals)
        failed = errors.failed(TOLERANCE)
        why = {crystals.ids[i]: explain(result, errors, crystals, i) for i in failed}
        self.failures += [f"| {label} | {name} | {text} |" for name, text in why.items() if listed]
        sites, points = crystals.counts, result.grid.prod(axis=1)
        sigma = f"{result.sigma.min():.2f}-{result.sigma.max():.2f}"
        if result.sigma.min() == result.sigma.max():
            sigma = f"{result.sigma.max():.2f}"
        good = len(crystals) - len(failed)
        counted = np.isfinite(errors.largest)
        self.say(
            f"| {label} | {len(crystals)} | {sites.min()}-{sites.max()} | {points.min():,}-{points.max():,} | {sigma} "
            f"| {good} ({100 * good / len(crystals):.2f} %) | {(~counted).sum()} "
            f"| {(errors.species[counted] < 1).sum()} | {errors.largest[counted].max():.5f} "
            f"| {errors.mean[counted].mean():.6f} | {1e3 * took / len(crystals):.1f} |"
        )


def best_time(work: Callable[[], object], repeats: int = 15) -> tuple[float, float]:
    """Return the shortest and the median process time in seconds."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times), sorted(times)[repeats // 2]


def floor_seconds(
    length: float, grid: int, channels: int, sites: int, sigma: float, flops: float, copied: float
) -> float:
    """Return the time of the operations, or of writing the result, whichever is longer.

    The operations are those of the shortest way known: a sum over sites of the frequencies with sigma |g| below 5.7
    (seven digits), and the cheaper of three products with waves and a real FFT, all at the speed of a matrix product.
    """
    half = min((grid - 1) // 2, int(length / sigma * 5.7 / (2 * math.pi)))
    full, few = 2 * half + 1, half + 1
    products = 8 * grid * full * full * few + 8 * grid**2 * full * few + 4 * grid**3 * few
    transform = min(products, 2.5 * grid**3 * math.log2(grid**3))
    return max(channels * (8 * full * full * few * sites + transform) / flops, 4 * channels * grid**3 / copied)


def speed(page: Page, batch: int = 64) -> None:
    """Time the fields of random triclinic cells and put them beside what the arithmetic and the memory cost."""
    a, x, y = torch.randn(1024, 1024), torch.empty(2**24), torch.randn(2**24)
    flops = 2 * 1024**3 / best_time(lambda: a @ a)[0]
    copied = 4 * 2**24 / best_time(lambda: x.copy_(y))[0]
    page.say(
        "",
        "## Cost of a field",
        "",
        f"Random triclinic cells, batches of {batch}, one thread, process time, "
        f"{torch.backends.cpu.get_cpu_capability()}; measured ceilings {flops / 1e9:.0f} GFLOP/s (matrix product) and "
        f"{copied / 1e9:.1f} GB/s (copy). The floor is the sum over sites and the cheaper of an FFT and of products "
        "with waves, all at the speed of the matrix product, or the result written once, whichever is longer.",
        "",
        "| field | cell Å | sites | µs/crystal, best | median | floor µs | share | faster than ICSG3D (best) |",
        "|---|---|---|---|---|---|---|---|",
    )
    torch.manual_seed(0)
    fields = ((32, 1, 0.45, 4.0), (32, 1, 0.45, 8.0), (16, 1, 0.45, 4.0), (16, 16, 0.7, 4.0))
    for grid, channels, sigma, length in fields:
        for sites in (5, 24):
            cell = length * (torch.eye(3) + 0.08 * torch.randn(batch, 3, 3))
            frac, weights = torch.rand(batch, sites, 3), torch.randn(batch, sites, channels)
            shape = (grid, grid, grid)
            best, median = best_time(
                lambda c=cell, f=frac, w=weights, s=sigma, g=shape: gaussian_density(c, f, w, g, s)
            )
            floor = floor_seconds(length, grid, channels, sites, sigma, flops, copied)
            page.say(
                f"| {grid}³ x {channels} | {length:g} | {sites} | {1e6 * best / batch:.0f} "
                f"| {1e6 * median / batch:.0f} | {1e6 * floor:.0f} | {100 * floor * batch / best:.0f} % "
                + (f"| {ICSG3D_SECONDS * batch / best:,.0f} x |" if (grid, channels) == (32, 1) else "| |")
            )


def main() -> None:
    """Print and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("perov", "carbon", "aflow"):
        parser.add_argument(f"--{name}", type=Path, help="dataset file of that set")
    parser.add_argument("--number", type=int, help="at most so many crystals of each set (default all)")
    parser.add_argument("--resolution", type=float, help="largest spacing in Å (default 2/3 sigma)")
    parser.add_argument("--sigma", type=float, help="width in Å (default from the closest sites of each crystal)")
    parser.add_argument("--rounds", type=int, default=0, help="corrections of overlap")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(arguments.seed)
    page = Page()
    options = {name: getattr(arguments, name) for name in ("resolution", "sigma", "rounds")}
    library = prototypes()
    chosen = some(library, arguments.number, rng)
    page.say(
        "# The encoding alone",
        "",
        "Crystals to fields and back without a network, written by `benchmarks/quality/encoding.py`. The grid lies "
        "over the reduced cell of each crystal, with a spacing in Å. Unless a line says otherwise, sigma is "
        f"{SIGMA_PER_DISTANCE} of the distance of the closest sites, at most {OCCUPANCY_SIGMA} Å, and the spacing "
        f"{RESOLUTION_PER_SIGMA:.2f} sigma.",
        "",
        f"Options: {', '.join(f'{k} {v}' for k, v in vars(arguments).items() if k in (*options, 'number', 'seed'))}. "
        f"The library holds {len(AFLOW_PROTOTYPE_LIBRARY)} prototypes, {len(library)} of them ordered.",
        "",
        HEADER,
    )
    page.row("prototypes as they are", chosen, **options)
    for name, change in variants(rng).items():
        page.row(f"prototypes, {name}", change(chosen), **options)
    perovskite = library.take([i for i, name in enumerate(library.ids) if name.startswith("AB3C_cP5_221")][:1])
    for n in (1, 2, 3):
        page.row(f"perovskite {n} x {n} x {n}", supercell(random_origin(perovskite, rng), (n, n, n)), **options)
    for name in ("perov", "carbon", "aflow"):
        if path := getattr(arguments, name):
            page.row(name, some(read_dataset(path).crystals, arguments.number, rng), **options)
    page.say("", "The width and the grid that the networks take, and what another choice costs:", "", HEADER)
    fixed = {"sigma": OCCUPANCY_SIGMA, "resolution": 0.3}
    sets = {"prototypes": chosen}
    for name in ("perov", "carbon", "aflow"):
        if path := getattr(arguments, name):
            sets[name] = some(read_dataset(path).crystals, arguments.number, rng)
    for name, crystals in sets.items():
        listed = name == "prototypes"
        page.row(f"{name}, 0.30 Å", crystals, listed, **fixed)
        page.row(f"{name}, 0.30 Å, overlap taken off in 8 rounds", crystals, listed, rounds=8, **fixed)
    page.row("prototypes, sigma 0.2 Å for all", chosen, sigma=0.2)
    origin = variants(rng)["sheared four times"](chosen)
    page.row("prototypes sheared four times, grid over the cell as given", origin, listed=False, reduce=False)
    page.say(
        "",
        "The last line is why the cell is reduced first: on the grid of a long sheared cell the closest points are not "
        "among the 26 neighbours, and one Gaussian has several maxima. In a reduced cell they are.",
    )
    page.say("", f"Not rebuilt to {TOLERANCE} Å:", "", "| line | crystal | why |", "|---|---|---|", *page.failures)
    speed(page)
    arguments.output.write_text("\n".join(page.lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
