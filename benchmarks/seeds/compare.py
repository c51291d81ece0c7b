"""The systems of the seed papers beside ours: same data, same split, same machine, by the project's own stages.

    python benchmarks/seeds/compare.py --source perov_5_train.csv --output results/seeds
    python benchmarks/seeds/compare.py --source perov_5_train.csv --output results/seeds --size hours
    python benchmarks/seeds/compare.py --source perov_5_train.csv --output results/seeds --size published

Every system runs in a process of its own, one after the other; what has been done in the output folder is not done
again. Writes docs/benchmarks/seeds.md (``--page``). Times are of the process, so that what else the machine does hardly
enters.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SYSTEMS = ("ours", "icsg3d-2020", "hoffmann-2019", "voxelnet")
TARGET = "formation_energy_per_atom"


def prepare(source: Path, folder: Path, crystals: int | None, split: dict[str, float]) -> None:
    """Write dataset.h5 from some rows of the CSV, drawn with a seed."""
    if (folder / "dataset.h5").is_file():
        return
    csv.field_size_limit(2**24)
    with open(source, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    chosen = rows if crystals is None else random.Random(0).sample(rows, crystals)
    with open(folder / "chosen.csv", "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(chosen)
    settings = {"source": "chosen.csv", "name": "perov5", "properties": {TARGET: "heat_all"}, "required": [TARGET],
                "units": {TARGET: "eV/atom"}, "split": split}  # fmt: skip
    (folder / "prepare.json").write_text(json.dumps(settings))
    subprocess.run([sys.executable, "-m", "icsg3d_models.cli", "prepare", "prepare.json"], cwd=folder, check=True)


def main() -> None:
    """Run the systems that have not been run, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True, help="CSV of Perov-5 with the columns cif and heat_all")
    parser.add_argument("--output", type=Path, default=Path("results/seeds"))
    parser.add_argument("--size", choices=("core", "hours", "published"), default="core")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=SYSTEMS)
    parser.add_argument("--page", type=Path, default=HERE.parents[1] / "docs" / "benchmarks" / "seeds.md")
    options = parser.parse_args()
    size = json.loads((HERE / "sizes.json").read_text())[options.size]
    options.output.mkdir(parents=True, exist_ok=True)
    prepare(options.source, options.output, size["crystals"], size["split"])
    for system in options.systems:
        command = [sys.executable, str(HERE / "one_system.py"), system, str(options.output), options.size]
        if not (options.output / system / "figures.json").is_file():
            subprocess.run(command, check=True)
    from page import write_page

    write_page(options.page, options.output, size)


if __name__ == "__main__":
    main()
