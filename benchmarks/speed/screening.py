"""Measure how the time of screening grows with the number of crystals, beside that of making them.

    python benchmarks/speed/screening.py --output docs/benchmarks/speed_screening.md
    python benchmarks/speed/screening.py --counts 1000 2000 --elements Pb Ti Mg Al O --output screening.md

The commands `sample`, `segment`, `rebuild` and `screen` are run as a user runs them, with the shipped models, each on
so many threads or processes. Of every stage the wall time and the processor time, of all its processes, are given.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import header, product_ceiling, table

import icsg3d_models

SHIPPED = Path(icsg3d_models.__file__).parent / "pretrained" / "perov5"
MAKING = ("sample", "segment", "rebuild")
COLUMNS = ["crystals", "different formulas", "making: wall, s", "processor, s", "screening: wall, s", "processor, s",
           "ms a crystal (processor)", "screening / making (wall)"]  # fmt: skip


def run_stage(folder: Path, stage: str, settings: dict[str, object]) -> tuple[float, float]:
    """Run one stage in a folder and return its wall and processor time in seconds.

    :raises subprocess.CalledProcessError: the stage failed.
    """
    (folder / f"{stage}.json").write_text(json.dumps(settings))
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [sys.executable, "-m", "icsg3d_models.cli", stage, f"{stage}.json"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(count: int, models: Path, threads: int, elements: list[str] | None) -> list[str]:
    """Return a row of the table."""
    asked = {"threads": threads, "seed": 1} | ({"elements": elements} if elements else {})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in (*models.glob("*.safetensors"), *models.glob("*.h5")):
            (folder / path.name).symlink_to(path)
        making = [run_stage(folder, "sample", asked | {"n_samples": count})]
        making.append(run_stage(folder, "segment", asked))
        making.append(run_stage(folder, "rebuild", {"threads": threads}))
        screening = run_stage(folder, "screen", asked | {"top": 20})
        rows = (folder / "screening.csv").read_text(encoding="utf-8").splitlines()
    column = rows[0].split(",").index("formula")
    formulas = {row.split(",")[column] for row in rows[1:]}
    made, used = (sum(times) for times in zip(*making, strict=True))
    figures = [made, used, *screening]
    return [str(count), str(len(formulas)), *(f"{value:.1f}" for value in figures),
            f"{1e3 * screening[1] / count:.2f}", f"{screening[0] / made:.2f}"]  # fmt: skip


def main() -> None:
    """Read the command line, measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=SHIPPED, help="folder of models; default: shipped")
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 3000, 10000], help="samples")
    parser.add_argument("--elements", nargs="+", help="chemical space; default: all that the models know")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch, and processes of the screening")
    parser.add_argument("--output", type=Path, required=True, help="the Markdown page to write")
    options = parser.parse_args()
    title = "Screening, beside sampling, segmentation and rebuilding together"
    space = " ".join(options.elements) if options.elements else "all elements"
    lines = header(title, product_ceiling(3), models=f"`{options.models.name}`", elements=space,
                   processes=options.threads)  # fmt: skip
    lines += table(COLUMNS, [measure(n, options.models, options.threads, options.elements) for n in options.counts])
    options.output.write_text("\n".join([*lines, ""]), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
