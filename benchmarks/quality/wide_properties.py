"""The property model of `wide`: formation energy, energy above the hull and band gap, with uncertainties.

    python benchmarks/quality/wide_properties.py --output results/wide_properties --source NAME=FILE ...
    python benchmarks/quality/wide_properties.py --output results/wide_properties --ship icsg3d_models/pretrained/wide

Sources, crystals and split are those of ``wide.py``, with band gaps as another column, which gives the dataset another
hash. The settings are in ``wide.json`` beside this file. How far it is off, and how well it knows: ``reliability.py``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from general import prepare, train
from train import HERE, card_page
from wide import chosen

from icsg3d_models.networks.model_file import load_weights, read_header, save_model

NETWORK = "cgcnn"


def ship(model: Path, target: Path) -> None:
    """Copy the model in half precision, and write it into the card of the set."""
    header = read_header(model, NETWORK)
    save_model(
        target / f"{NETWORK}.safetensors", header, {name: value.half() for name, value in load_weights(model).items()}
    )
    (target / f"{NETWORK}.json").write_text(json.dumps(header.card, indent=1) + "\n")
    page = target / "README.md"
    commands = [line.strip() for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("    ")]
    start = "python benchmarks/quality/wide_properties.py --output FOLDER "
    mine = [start + "--source NAME=DATA ...", start + "--ship TO"]
    page.write_text(card_page(target, [*(c for c in commands if c not in mine), *mine]), encoding="utf-8")


def main() -> None:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", nargs="+", default=[], metavar="NAME=FILE", help="names as in wide.json")
    parser.add_argument("--output", type=Path, required=True, help="folder of dataset and model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ship", type=Path, help="instead of training, copy the model into this set")
    options = parser.parse_args()
    if options.ship is not None:
        ship(options.output / f"seed{options.seed}" / f"{NETWORK}.safetensors", options.ship)
        return
    recipe = json.loads((HERE / "wide.json").read_text())
    for part in ("properties", "units"):
        recipe["prepare"]["wide"][part].update(recipe["cgcnn_also"][part])
    options.output.mkdir(parents=True, exist_ok=True)
    sources = {}
    for entry in options.source:
        name, _, file = entry.partition("=")
        sources[name] = chosen(recipe["sources"][name], Path(file), options.output / f"{name}.csv")
    prepare(recipe["prepare"], sources, options.output)
    train(recipe, options.output, options.seed, [NETWORK])


if __name__ == "__main__":
    main()
