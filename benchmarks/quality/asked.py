"""Does a model for crystals of any shape make what it is asked for? Ask, and count.

    python benchmarks/quality/asked.py --dataset dataset.h5 --carbon carbon24.h5 --output results/asked

The dataset is the one that `general.py` has trained on; its test part gives compositions that training has not seen.
Every row: how many of the samples are as asked, beside the share of samples that are so without being asked.
A sample that is not rebuilt fulfils nothing. Below, new carbon crystals are scored by ``icsg3d evaluate`` against
the test part of Carbon-24, beside what that part and the training part score. Defaults are the shipped models.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import time
from pathlib import Path
from typing import Any

import h5py
from conditioning import generate

import icsg3d_models
from icsg3d_models.conditions import fulfilled
from icsg3d_models.crystals.batch import Crystals, write_crystals
from icsg3d_models.data.datasets import Dataset, read_dataset
from icsg3d_models.evaluation.evaluate import run as evaluate
from icsg3d_models.evaluation.figures import KINDS, SHARE
from icsg3d_models.networks.model_file import file_hash
from icsg3d_models.results import Report, versions
from icsg3d_models.settings import EvaluateSettings

SHIPPED = Path(icsg3d_models.__file__).parent / "pretrained" / "general"
CONDITIONS: list[dict[str, Any]] = [
    {"elements": ["Pb", "Ti", "Mg", "Al", "O"]},
    {"anonymous_formula": "ABC3"},
    {"anonymous_formula": "ABC3", "crystal_system": "cubic"},
    {"elements": ["C"]},
    *({"elements": ["C"], "n_atoms": n} for n in (6, 8, 12, 16)),
    *({"elements": ["C"], "crystal_system": system} for system in ("monoclinic", "orthorhombic", "hexagonal")),
]
UNSEEN = 5  # compositions of the test part that are asked for
FIGURES = (
    *("rebuilt", "structure_validity", "cov_recall", "cov_precision", "wasserstein_density"),
    *("uniqueness", "novelty"),
)


def share(made: Crystals, asked: dict[str, Any], total: int) -> float:
    """Return how many of the samples asked for fulfil all that is asked for, in percent."""
    return 100.0 * float(sum(map(all, zip(*fulfilled(made, asked).values(), strict=True)))) / total


def unseen(dataset: Dataset) -> list[str]:
    """Return compositions of the test part, of at least three elements, that training has not seen."""
    known = set(dataset.crystals.take(dataset.part("train")).formulas())
    formulas = dataset.crystals.take(dataset.part("test")).formulas()
    new = [f for f in dict.fromkeys(formulas) if f not in known and len(re.findall("[A-Z]", f)) > 2]
    return new[:: max(1, len(new) // UNSEEN)][:UNSEEN]


def table_of_conditions(options: argparse.Namespace, dataset: Dataset) -> list[str]:
    """Sample under all conditions and return the rows of the table."""
    samples = {"n_samples": options.samples, "seed": options.seed}
    free = generate(options.models, options.output, **samples)
    all_asked = [*CONDITIONS, *({"composition": formula} for formula in unseen(dataset))]
    head = " | ".join(f"guidance {guidance:g}, %" for guidance in options.guidance)
    rows = [f"| asked for | {head} | not asked, % |", "|---" * (2 + len(options.guidance)) + "|"]
    for asked in all_asked:
        found = []
        for guidance in options.guidance:
            made = generate(options.models, options.output, guidance=guidance, **samples, **asked)
            found.append(f"{share(made, asked, options.samples):.1f}")
        words = ", ".join(
            f"{k.replace('_', ' ')} {' '.join(v) if isinstance(v, list) else v}" for k, v in asked.items()
        )
        rows.append(f"| {words} | {' | '.join(found)} | {share(free, asked, options.samples):.1f} |")
        print(rows[-1], flush=True)
    return rows


def carbon(options: argparse.Namespace) -> list[str]:
    """Score new carbon crystals and return the rows of the table."""
    total = options.carbon_samples
    start = time.process_time()
    made = generate(options.models, options.output, n_samples=total, seed=options.seed, elements=["C"])
    seconds = time.process_time() - start
    with h5py.File(options.output / "carbon.h5", "w") as file:
        write_crystals(file.create_group("crystals"), made)
    chosen = {"crystals": "carbon.h5", "reference": str(options.carbon.resolve()), "cutoffs": "carbon_24"}
    report = Report("evaluate", options.output, quiet=True)
    evaluate(EvaluateSettings.model_validate({**chosen, "samples": total, "seed": options.seed}), report)
    rows = [f"| | {' | '.join(f'{KINDS[n].label}, {KINDS[n].unit}' for n in FIGURES)} |", "|---" * 8 + "|"]
    for label, prefix in (("new crystals", ""), ("test part", "reference_"), ("training part", "training_")):
        values = [report.scalars.get(prefix + name) for name in FIGURES]
        cells = [
            "-" if value is None else f"{100 * value:.2f}" if KINDS[name].unit == SHARE else f"{value:.4f}"
            for name, value in zip(FIGURES, values, strict=True)
        ]
        rows.append(f"| {label} | {' | '.join(cells)} |")
    return [*rows, "", f"{total} samples of carbon, {1000 * seconds / total:.0f} ms of processor time each."]


def main() -> None:
    """Read the command line, ask, count and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, required=True, help="dataset file that the models were trained on")
    parser.add_argument("--carbon", type=Path, required=True, help="dataset file of Carbon-24 alone")
    parser.add_argument("--models", type=Path, default=SHIPPED, help="folder of vae, unet and prior")
    parser.add_argument("--samples", type=int, default=100, help="samples a row (%(default)s)")
    parser.add_argument("--carbon-samples", type=int, default=1000, help="carbon crystals to score (%(default)s)")
    parser.add_argument("--guidance", type=float, nargs="+", default=[1.0, 2.0], help="strengths to try")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True, help="folder of the page and of intermediate files")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    dataset = read_dataset(options.dataset)
    lines = [
        "# What a model for crystals of any shape is asked for, and what it makes",
        "",
        f"Written by `benchmarks/quality/asked.py`; {options.samples} samples a row, of which those count that fulfil "
        "all that is asked for. The compositions are of the test part; training has not seen them. A crystal system "
        "is that of the space group found within 0.1 Å.",
        "",
        *table_of_conditions(options, dataset),
        "",
        "New carbon crystals against the test part of Carbon-24, metrics as in arXiv:2110.06197:",
        "",
        *carbon(options),
        "",
    ]
    names = ("vae", "unet", "prior")
    hashes = ", ".join(f"{name} `{file_hash(options.models / f'{name}.safetensors')[:12]}`" for name in names)
    lines += [
        f"- models: {hashes}; seed {options.seed}; dataset `{dataset.content_hash()[:16]}`",
        f"- {platform.machine()}, {json.dumps(versions())}",
    ]
    page = "\n".join(lines) + "\n"
    (options.output / "asked.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
