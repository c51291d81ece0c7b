"""An exact number of new crystals for a public benchmark, nothing selected, with what they cost.

    python benchmarks/quality/submission.py --output results/submission
    python benchmarks/quality/submission.py --potential chgnet --output results/submission

LeMat-GenBench asks for 2,500 structures. Samples are drawn with one seed and nothing asked; one that is not rebuilt
into a crystal is no structure, so that samples are drawn on until the number is reached, and how many it took is said.
No crystal is left out for any other reason, and none is chosen. In the folder: ``structures.zip`` (one CIF each, in the
order in which they were drawn), with ``--potential`` also ``relaxed.zip`` (the same ones, relaxed; one whose relaxation
fails stands as it was generated, and is counted), and ``cost.json``: parameters, floating-point operations a sample,
seconds, peak memory, device, versions, hashes. Interrupted, it goes on with the batches and relaxations that are done.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conditioning import SHIPPED
from pymatgen.core import Structure
from torch.utils.flop_counter import FlopCounterMode

from icsg3d_models.crystals.batch import Crystals, joined_crystals
from icsg3d_models.crystals.crystal_file import read_crystal_file, write_crystal_file
from icsg3d_models.generation import sample as sampling
from icsg3d_models.generation import segment as segmentation
from icsg3d_models.networks.model_file import file_hash, read_header
from icsg3d_models.relaxation.table import read_table
from icsg3d_models.results import Report, versions
from icsg3d_models.settings import SampleSettings, SegmentSettings

NETWORKS = ("vae", "unet", "prior")
ASKED_FOR = 2500
BATCH = 500


def stage(name: str, folder: Path, **settings: Any) -> dict[str, Any]:
    """Run ``icsg3d NAME`` in a folder and return its results."""
    (folder / f"{name}.json").write_text(json.dumps(settings))
    subprocess.run([sys.executable, "-m", "icsg3d_models.cli", name, f"{name}.json"], cwd=folder, check=True)
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


def batch(models: Path, folder: Path, seed: int, count: int) -> tuple[Crystals, dict[str, float]]:
    """Return the crystals of some samples, and what they cost; drawn already: read."""
    done = folder / "cost.json"
    if not done.is_file():
        folder.mkdir(exist_ok=True)
        files = {name: str(models / f"{name}.safetensors") for name in NETWORKS}
        drawing = {"vae": files["vae"], "prior": files["prior"], "n_samples": count, "seed": seed}
        ended = [
            stage("sample", folder, **drawing), stage("segment", folder, unet=files["unet"]), stage("rebuild", folder)
        ]  # fmt: skip
        cost = {"seconds": sum(one["wall_time_seconds"] for one in ended),
                "peak_memory_bytes": max(one["peak_memory_bytes"] for one in ended)}  # fmt: skip
        for large in ("fields.h5", "segments.h5"):
            (folder / large).unlink()
        done.write_text(json.dumps(cost))
    made = read_crystal_file(folder / "crystals.h5")
    names = tuple(f"{folder.name}_{name}" for name in made.ids)
    return Crystals(made.cell, made.frac, made.numbers, made.offsets, names), json.loads(done.read_text())


def drawn(models: Path, folder: Path, number: int, seed: int) -> Iterator[tuple[Crystals, int, dict[str, float]]]:
    """Yield crystals, samples and cost of batch after batch, until there are enough crystals."""
    have, index = 0, 0
    while have < number:
        size = min(BATCH, max(number - have, 16))
        made, cost = batch(models, folder / f"b{index:04d}", seed + index, size)
        if len(made) == 0:
            raise SystemExit(f"batch {index}: nothing was rebuilt from {size} samples")
        have += len(made)
        index += 1
        yield made, size, cost


def operations(models: Path, folder: Path, seed: int) -> float:
    """Return the floating-point operations of the networks a sample, sampling and segmentation, counted on 16."""
    folder.mkdir(exist_ok=True)
    files = {name: str(models / f"{name}.safetensors") for name in NETWORKS}
    with FlopCounterMode(display=False) as counter:
        drawing = {"vae": files["vae"], "prior": files["prior"], "n_samples": 16, "seed": seed}
        sampling.run(SampleSettings.model_validate(drawing), Report("sample", folder, quiet=True))
        segmentation.run(SegmentSettings(unet=files["unet"]), Report("segment", folder, quiet=True))
    return counter.get_total_flops() / 16


def write_zip(path: Path, structures: Iterator[Structure], names: tuple[str, ...]) -> None:
    """Write one CIF each."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, structure in zip(names, structures, strict=True):
            file.writestr(f"{name}.cif", structure.to(fmt="cif"))


def relax(crystals: Crystals, folder: Path, potential: str) -> dict[str, Any]:
    """Relax all crystals, write them, and return what that cost."""
    folder.mkdir(exist_ok=True)
    write_crystal_file(folder / "crystals.h5", crystals)
    journal = {"resume_from": "relax.jsonl"} if (folder / "relax.jsonl").is_file() else {}
    ended = stage("relax", folder, potential={"name": potential}, hull=False, fmax=0.05, **journal)
    rows = {row["id"]: row for row in read_table(folder / "relax.csv")}
    after = read_crystal_file(folder / "relaxed.h5")
    good = {name: s for name, s in zip(after.ids, after.structures(), strict=True) if rows[name]["converged"]}
    chosen = (good.get(name, given) for name, given in zip(crystals.ids, crystals.structures(), strict=True))
    write_zip(folder.parent / "relaxed.zip", chosen, crystals.ids)
    return {
        "potential": potential, "relaxed": len(good), "as_generated": len(crystals) - len(good),
        "seconds": ended["wall_time_seconds"], "peak_memory_bytes": ended["peak_memory_bytes"],
    }  # fmt: skip


def main() -> None:
    """Draw, relax where that is wanted, and write archive and cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=SHIPPED.parent / "wide", help="folder of vae, unet and prior")
    parser.add_argument("--number", type=int, default=ASKED_FOR, help="structures (%(default)s)")
    parser.add_argument("--potential", help="relax them too, with 7net-0 or chgnet")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    models = options.models.resolve()
    parts = list(drawn(models, options.output, options.number, options.seed))
    crystals = joined_crystals([made for made, _, _ in parts]).take(range(options.number))
    write_zip(options.output / "structures.zip", crystals.structures(), crystals.ids)
    headers = {name: read_header(models / f"{name}.safetensors", name) for name in NETWORKS}
    cost = {
        "structures": len(crystals), "samples_drawn": sum(size for _, size, _ in parts), "selected": False,
        "seed": options.seed, "parameters": {name: header.card["parameters"] for name, header in headers.items()},
        "flops_a_sample": operations(models, options.output / "counted", options.seed),
        "seconds": sum(one["seconds"] for _, _, one in parts),
        "peak_memory_bytes": max(one["peak_memory_bytes"] for _, _, one in parts),
        "training_seconds": {name: header.card["seconds"] for name, header in headers.items()},
        "sha256": {name: file_hash(models / f"{name}.safetensors") for name in NETWORKS},
        "machine": platform.machine(), "versions": versions(),
    }  # fmt: skip
    if options.potential:
        cost["relaxation"] = relax(crystals, options.output / "relaxation", options.potential)
    (options.output / "cost.json").write_text(json.dumps(cost, indent=1) + "\n")
    print(json.dumps(cost, indent=1))


if __name__ == "__main__":
    main()
