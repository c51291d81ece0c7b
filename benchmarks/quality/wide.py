"""One model for any chemistry: `general` learns the crystals of 88 elements; then ask, count, and write the page.

    python benchmarks/quality/wide.py --output results/wide --source wide=wide_crystals_train.csv.gz \\
        perov5=perov_5_train_structures.csv.gz carbon24=carbon_24_train_structures.csv.gz
    python benchmarks/quality/wide.py --output results/wide --page docs/benchmarks/wide.md
    python benchmarks/quality/wide.py --output results/wide --ship icsg3d_models/pretrained/wide

The settings are in ``wide.json`` beside this file; what has been trained already is not trained again. The page is
written from the models in the output folder: reconstruction of the test part, new crystals beside published rows, and
what is made when it is asked, by these models and by `general`.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import pandas as pd
from general import prepare, train
from train import HERE, ship
from wide_page import page

import icsg3d_models

NETWORKS = ("unet", "vae", "prior")
GENERAL = Path(icsg3d_models.__file__).parent / "pretrained" / "general"
Recipe = dict[str, dict[str, object]]


def chosen(rule: dict[str, object], source: Path, path: Path) -> Path:
    """Write the rows of a CSV file that are trained on, where they are not there yet, and return their file."""
    if path.is_file():
        return path
    table = pd.read_csv(source, dtype=str, keep_default_na=False)
    if "without" in rule:  # of a strict split
        table = table[table[rule["without"]].isin(["", "0"])]
    for column, where in dict(rule.get("unknown", {})).items():  # energies with other references
        for key, value in where.items():
            table.loc[table[key] == value, column] = ""
    if "sample" in rule:
        table = table.sample(rule["sample"], random_state=0)
    table.to_csv(path, index=False)
    return path


def start_models(folder: Path) -> None:
    """Copy the shipped models of `general` to where the recipe looks for them."""
    folder.mkdir(exist_ok=True)
    for network in ("unet", "vae", "prior"):
        shutil.copy(GENERAL / f"{network}.safetensors", folder / f"{network}.safetensors")


def main() -> None:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", nargs="+", default=[], metavar="NAME=FILE", help="names as in wide.json")
    parser.add_argument("--output", type=Path, required=True, help="folder of datasets, models and figures")
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=list(NETWORKS), help="networks to train")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--page", type=Path, help="instead of training, measure and write this page")
    parser.add_argument("--samples", type=int, default=500, help="page: new crystals to score (%(default)s)")
    parser.add_argument("--asked", type=int, default=20, help="page: samples of every wish (%(default)s)")
    parser.add_argument("--most", type=int, default=300, help="page: crystals of a set to reconstruct (%(default)s)")
    parser.add_argument("--ship", type=Path, help="instead of all that, copy the models there")
    options = parser.parse_args()
    run = options.output / f"seed{options.seed}"
    if options.ship is not None:
        start = "python benchmarks/quality/wide.py --output FOLDER "
        there = " ".join(name for name in NETWORKS if (run / f"{name}.safetensors").is_file())
        ship(run, options.ship, [start + f"--source NAME=DATA ... --only {there}", start + "--ship TO"])
        return
    if options.page is not None:
        options.page.write_text(page(options.output, run, GENERAL, options), encoding="utf-8")
        return
    recipe: Recipe = json.loads((HERE / "wide.json").read_text())
    options.output.mkdir(parents=True, exist_ok=True)
    sources = {}
    for entry in options.source:
        name, _, file = entry.partition("=")
        rule: dict[str, object] = recipe["sources"][name]  # type: ignore[assignment]
        sources[name] = chosen(rule, Path(file), options.output / f"{name}.csv")
    prepare(recipe["prepare"], sources, options.output)  # type: ignore[arg-type]
    start_models(options.output / "general")
    train(recipe, options.output, options.seed, options.only)


if __name__ == "__main__":
    main()
