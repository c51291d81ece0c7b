"""Train all models on one data set, the way the shipped ones were trained.

    python benchmarks/quality/train.py perov5 --source perov_5_train.csv --output results/perov5
    python benchmarks/quality/train.py perov5 --output results/perov5 --ship icsg3d_models/pretrained/perov5

Every stage is the project's own command ``icsg3d``, with the settings of ``<name>.json`` beside this file. A stage
whose model file is there already is not run again; a stage that was stopped goes on from its checkpoint.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
NETWORKS = ("unet", "vae", "prior", "cgcnn")


def run_stage(stage: str, settings: dict[str, object], folder: Path) -> None:
    """Run ``icsg3d STAGE`` in the folder and stop this program where it fails."""
    name = str(settings.get("network", stage))
    path = folder / f"{name}.json"
    path.write_text(json.dumps(settings, indent=1))
    subprocess.run([sys.executable, "-m", "icsg3d_models.cli", stage, path.name], cwd=folder, check=True)
    shutil.move(folder / "results.json", folder / f"{name}_results.json")
    if (folder / "metrics.csv").is_file():
        shutil.move(folder / "metrics.csv", folder / f"{name}_metrics.csv")


def train(recipe: dict[str, dict[str, object]], source: Path | None, folder: Path, seed: int, only: list[str]) -> None:
    """Prepare the dataset and train every network that has no model file yet."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "dataset.h5").is_file():
        if source is None:
            raise SystemExit("no dataset in the output folder yet: give --source, the data to prepare it from")
        run_stage("prepare", {**recipe["prepare"], "source": str(source.resolve()), "seed": seed}, folder)
    for network in only:
        if (folder / f"{network}.safetensors").is_file():
            continue
        checkpoint = f"checkpoint_{network}"
        settings = {**recipe[network], "seed": seed, "output": f"{network}.safetensors", "checkpoint": checkpoint}
        if (folder / checkpoint / "last.pt").is_file():
            settings["resume_from"] = checkpoint
        run_stage("train", settings, folder)


def ship(folder: Path, target: Path, commands: list[str]) -> None:
    """Copy the models in half precision, the prior in eight bits, with their cards and any fingerprint of the data.

    :param commands: what trained and shipped them, for the card.
    """
    from icsg3d_models.networks.formats.quantisation import quantised
    from icsg3d_models.networks.model_file import load_weights, read_header, save_model

    target.mkdir(parents=True, exist_ok=True)
    hashes: dict[str, str] = {}
    for network in NETWORKS:
        if not (folder / f"{network}.safetensors").is_file():
            continue
        header = read_header(folder / f"{network}.safetensors", network)
        if network == "prior":
            # The prior names the VAE it belongs to; that is now the shipped file.
            header.config["vae_sha256"] = hashes["vae"]
        weights = load_weights(folder / f"{network}.safetensors")
        # Of a velocity that is integrated over many steps, eight bits are enough; fields need more.
        kept = {k: v for k, v in weights.items() if network != "prior" or k.startswith("kept_")}
        small = quantised({k: v for k, v in weights.items() if k not in kept})
        small |= {k: v.half() if v.is_floating_point() else v for k, v in kept.items()}
        hashes[network] = save_model(target / f"{network}.safetensors", header, small)
        (target / f"{network}.json").write_text(json.dumps(header.card, indent=1) + "\n")
    if (folder / "fingerprint.h5").is_file():
        shutil.copy(folder / "fingerprint.h5", target / "fingerprint.h5")
    (target / "README.md").write_text(card_page(target, commands), encoding="utf-8")


def card_page(folder: Path, commands: list[str]) -> str:
    """Return the model card of a set as Markdown; every number comes from the cards in the model files."""
    from icsg3d_models.networks.model_file import file_hash, read_header
    from icsg3d_models.properties.meaning import meaning_of

    files = {name: folder / f"{name}.safetensors" for name in NETWORKS}
    headers = {name: read_header(path, name) for name, path in files.items() if path.is_file()}
    judged = "; novelty is judged by `fingerprint.h5`" if (folder / "fingerprint.h5").is_file() else ""
    first = headers["unet"].card
    predictors = [header for network, header in headers.items() if network != "prior"]  # that only aims
    predicted = {name: header.card for header in predictors for name in header.config.get("targets") or []}
    parts = ", ".join(f"{count} {part}" for part, count in first["split"].items())
    lines = [
        f"# Models of {first['data']['name']}",
        "",
        f"Trained on {parts} crystals; content hash of the dataset `{first['data']['content_hash']}`.",
        f"Data: {first['data']['citation']}. The data are not in this package{judged}.",
        *(f"Predicted `{name}`: {meaning_of(name, card).sentence}." for name, card in predicted.items()),
        "",
        f"Weights are stored in half precision, those of the prior in eight bits. Seed {first['seed']}; "
        "trained and shipped by",
        "",
        *(f"    {command}" for command in commands),
        "",
        "| network | parameters | steps | seconds | device | test part | SHA-256 |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, header in headers.items():
        card = header.card
        scores = ", ".join(f"{key} {value:.4g}" for key, value in card["test"].items())
        if (data := card["data"]["content_hash"]) != first["data"]["content_hash"]:
            scores += f"; data `{data[:16]}`"
        digest = file_hash(folder / f"{name}.safetensors")[:16]
        lines.append(
            f"| {name} | {card['parameters']} | {card['steps']} | {card['seconds']:.0f} | {card['device']} | {scores} "
            f"| `{digest}` |"
        )
    versions = ", ".join(f"{name} {version}" for name, version in first["versions"].items())
    lines += ["", f"Versions: {versions}. Seconds are wall time on a machine that did other work as well.", ""]
    return "\n".join(lines)


def main() -> None:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", help="name of a settings file beside this one, without .json")
    parser.add_argument("--source", type=Path, help="data to prepare the dataset from, see `icsg3d prepare --help`")
    parser.add_argument("--output", type=Path, required=True, help="folder of the dataset, models and logs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=list(NETWORKS), help="networks to train")
    parser.add_argument("--ship", type=Path, help="instead of training, copy the models of --output there")
    options = parser.parse_args()
    if options.ship is not None:
        start = f"python benchmarks/quality/train.py {options.recipe} "
        ship(
            options.output, options.ship, [start + "--source DATA --output FOLDER", start + "--output FOLDER --ship TO"]
        )
        return
    recipe = json.loads((HERE / f"{options.recipe}.json").read_text())
    train(recipe, options.source, options.output, options.seed, options.only)


if __name__ == "__main__":
    main()
