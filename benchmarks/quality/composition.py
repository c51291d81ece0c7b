"""Is the composition kept that is asked for? The same fields, rebuilt peak by peak and by the best assignment.

    python benchmarks/quality/composition.py --samples 40 --output results/composition

Every row: of so many samples, how many have the composition and a sound structure (distances, volume). First every peak
is the likeliest element of all, then of those asked for, then `icsg3d rebuild --composition`. The last column is the
median over the crystals of the least sure species: the probability, by the U-Net, of the element that was put there.
It does not say whether such a crystal exists.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import icsg3d_models
from icsg3d_models.conditions import fulfilled
from icsg3d_models.crystals.batch import Crystals, read_crystals
from icsg3d_models.crystals.formulas import amounts_of
from icsg3d_models.crystals.validity import structure_problems
from icsg3d_models.generation import rebuild, sample, segment
from icsg3d_models.networks.model_file import file_hash
from icsg3d_models.results import Report, StageError, versions
from icsg3d_models.settings import RebuildSettings, SampleSettings, SegmentSettings

SHIPPED = Path(icsg3d_models.__file__).parent / "pretrained" / "general"
FORMULAS = ("CaTiO3", "NbPtN3", "MnInN3", "BeReNOF", "SBrO3", "LaSnNOF", "NaCl", "TiO2", "Ca3N2", "Bi2Te3", "C8", "C12")


def sampled(options: argparse.Namespace, formula: str) -> None:
    """Draw the fields of a composition."""
    files = {name: str(options.models / f"{name}.safetensors") for name in ("vae", "prior")}
    asked = {"n_samples": options.samples, "seed": options.seed, "composition": formula, "guidance": options.guidance}
    sample.run(SampleSettings.model_validate({**files, **asked}), Report("sample", options.output, quiet=True))


def crystals_of(options: argparse.Namespace, elements: list[str] | None, **how: Any) -> tuple[Crystals, list[float]]:
    """Return the crystals of the fields that were drawn, and the least sure species of each."""
    unet = str(options.models / "unet.safetensors")
    segment.run(SegmentSettings(unet=unet, elements=elements), Report("segment", options.output, quiet=True))
    report = Report("rebuild", options.output, quiet=True)
    try:
        rebuild.run(RebuildSettings(**how), report)
    except StageError as exception:
        if exception.status != "nothing_rebuilt":
            raise
    with h5py.File(options.output / "crystals.h5") as file:
        made = read_crystals(file["crystals"])
    return made, [report.tables["confidence"][name] for name in made.ids]


def kept(made: Crystals, formula: str) -> int:
    """Return how many crystals have the composition and a sound structure."""
    if len(made) == 0:
        return 0
    sound = np.array([problem is None for problem in structure_problems(made)])
    return int((sound & fulfilled(made, {"composition": formula})["composition"]).sum())


def row_of(options: argparse.Namespace, formula: str) -> str:
    """Return one row of the table."""
    sampled(options, formula)
    elements = sorted(amounts_of(formula))
    free, _ = crystals_of(options, None)
    restricted, _ = crystals_of(options, elements)
    assigned, sure = crystals_of(options, elements, composition=formula)
    shares = [f"{100 * kept(made, formula) / options.samples:.0f}" for made in (free, restricted, assigned)]
    return f"| {formula} | {' | '.join(shares)} | {f'{np.median(sure):.2f}' if sure else '-'} |"


def main() -> None:
    """Read the command line, count and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("formulas", nargs="*", default=FORMULAS, help="formulas of one cell")
    parser.add_argument("--models", type=Path, default=SHIPPED, help="folder of vae, unet and prior")
    parser.add_argument("--samples", type=int, default=40, help="samples a row (%(default)s)")
    parser.add_argument("--guidance", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True, help="folder of the page and of intermediate files")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    lines = [
        "# The composition that is asked for",
        "",
        f"Written by `benchmarks/quality/composition.py`; {options.samples} samples a row, guidance "
        f"{options.guidance:g}. Percent of the samples that have the composition and a sound structure.",
        "",
        "| asked for | any element, % | its elements, % | kept by assignment, % | least sure species, median |",
        "|---|---|---|---|---|",
    ]
    for formula in options.formulas:
        lines.append(row_of(options, formula))
        print(lines[-1], flush=True)
    names = ("vae", "unet", "prior")
    hashes = ", ".join(f"{name} `{file_hash(options.models / f'{name}.safetensors')[:12]}`" for name in names)
    lines += ["", f"- models: {hashes}; seed {options.seed}", f"- {platform.machine()}, {json.dumps(versions())}"]
    page = "\n".join(lines) + "\n"
    (options.output / "composition.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
