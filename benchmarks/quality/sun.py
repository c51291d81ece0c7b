"""Stable, unique, novel: new crystals of a shipped set, relaxed by a potential, against the hull of the package.

    python benchmarks/quality/sun.py wide --training dataset.h5 --output results/sun/wide
    python benchmarks/quality/sun.py wide --training dataset.h5 --output results/sun/wide --samples 300

Nothing is asked and nothing chosen. Samples are relaxed fifty at a time, in order; started again, it goes on with
what is not done, and several processes may share the work (``--share 0/2``). The figures are of the first ``--samples``
numbers, all of which have to be done. Prints a row of docs/benchmarks/sun.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import icsg3d_models
from icsg3d_models.crystals.batch import Crystals, joined_crystals
from icsg3d_models.crystals.crystal_file import read_crystal_file, write_crystal_file
from icsg3d_models.relaxation.table import read_table, write_table

SHIPPED = Path(icsg3d_models.__file__).parent / "pretrained"
DRAWN = 1000
CHUNK = 50
RELAXATION = {"potential": {"name": "chgnet"}, "optimiser": "LBFGS", "fmax": 0.05, "max_steps": 200, "threads": 1}


def stage(name: str, folder: Path, **settings: Any) -> dict[str, Any]:
    """Run ``icsg3d NAME`` in a folder and return its results, which are kept under its name."""
    (folder / f"{name}.json").write_text(json.dumps(settings))
    subprocess.run([sys.executable, "-m", "icsg3d_models.cli", name, f"{name}.json"], cwd=folder, check=True)
    shutil.copy(folder / "results.json", folder / f"{name}_results.json")
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


def draw(models: Path, folder: Path) -> Crystals:
    """Return the crystals of all samples, drawn where they are not there yet."""
    if not (folder / "crystals.h5").is_file():
        files = {name: str(models / f"{name}.safetensors") for name in ("vae", "prior", "unet")}
        stage("sample", folder, vae=files["vae"], prior=files["prior"], n_samples=DRAWN, seed=0, threads=1)
        stage("segment", folder, unet=files["unet"], threads=1)
        stage("rebuild", folder, threads=1)
    return read_crystal_file(folder / "crystals.h5")


def relax(made: Crystals, folder: Path, chunk: int) -> None:
    """Relax the crystals of fifty samples."""
    place = folder / f"c{chunk:02d}"
    if (place / "relax.csv").is_file() and (place / "relaxed.h5").is_file():
        return
    place.mkdir(exist_ok=True)
    write_crystal_file(place / "crystals.h5", made.take(rows_of(made, chunk * CHUNK, (chunk + 1) * CHUNK)))
    stage("relax", place, **RELAXATION)


def rows_of(made: Crystals, first: int, end: int) -> list[int]:
    """Return the rows of samples by their numbers."""
    return [row for row, name in enumerate(made.ids) if first <= int(name[1:]) < end]


def judge(folder: Path, samples: int, training: Path) -> None:
    """Evaluate what was relaxed, and print a row of the page."""
    places = [folder / f"c{chunk:02d}" for chunk in range(samples // CHUNK)]
    rows = [row for place in places for row in read_table(place / "relax.csv")]
    together = folder / "judged"
    together.mkdir(exist_ok=True)
    write_table(together / "relax.csv", rows)
    relaxed = joined_crystals([read_crystal_file(place / "relaxed.h5") for place in places])
    write_crystal_file(together / "crystals.h5", relaxed)
    known = str(training.resolve())
    stage("evaluate", together, reference=known, training=known, stability="relax.csv", samples=samples,
          cutoffs="mp_20", novelty_samples=max(samples, 1000))  # fmt: skip
    found = {f["name"]: f["value"] for f in json.loads((together / "evaluation.json").read_text())["figures"]}
    heights = [row["estimated_e_above_hull"] for row in rows if row["estimated_e_above_hull"] is not None]
    moved = [row["rmsd"] for row in rows if row["rmsd"] is not None]
    kept = sum(row["symmetry"] in ("kept", "gained") for row in rows)
    cells = [
        folder.name, str(samples), f"{100 * sum(h <= 0.1 for h in heights) / samples:.1f}",
        f"{100 * sum(h <= 0 for h in heights) / samples:.1f}", f"{statistics.median(heights):.3f}",
        f"{100 * found['uniqueness']:.1f}", f"{100 * found['novelty']:.1f}", f"**{100 * found['sun']:.1f}**",
        f"{statistics.median(moved):.3f} ({len(moved)})", f"{100 * kept / samples:.0f}",
        f"{sum(row['seconds'] or 0 for row in rows) / samples:.1f}",
    ]  # fmt: skip
    print("| " + " | ".join(cells) + " |")


def main() -> None:
    """Read the command line, and draw, relax and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", help="name of a shipped set, or a folder")
    parser.add_argument("--training", type=Path, required=True, help="dataset file of its training")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=DRAWN, help="a multiple of fifty (%(default)s)")
    parser.add_argument("--share", default="0/1", help="relax only every second fifty: 0/2 and 1/2")
    options = parser.parse_args()
    models = SHIPPED / options.models if (SHIPPED / options.models).is_dir() else Path(options.models).resolve()
    options.output.mkdir(parents=True, exist_ok=True)
    made = draw(models, options.output)
    first, every = map(int, options.share.split("/"))
    for chunk in range(first, options.samples // CHUNK, every):
        relax(made, options.output, chunk)
    if every == 1:
        judge(options.output, options.samples, options.training)


if __name__ == "__main__":
    main()
