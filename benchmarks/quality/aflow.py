"""Total enthalpy of AFLOW's cubic perovskites by CGCNN and VoxelNet, DFT and DFT+U told apart.

    python benchmarks/quality/aflow.py --source aflow_cP5.extxyz --output results/aflow --seeds 0 1 2

For every seed: label the enthalpies, split by composition, train with the settings of ``aflow.json``, and score the
test part, which neither training nor the choice of the best epoch has seen. Every crystal of it counts, against its
own property. A model that is there already is not trained again. The page stands beside the published figures of
``aflow_published.json``; nothing in it is typed by hand.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
from aflow_labels import label
from train import train

from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.data.datasets import Dataset, read_dataset
from icsg3d_models.networks.model_file import PREDICTORS, read_header
from icsg3d_models.properties.predict import predict
from icsg3d_models.results import versions

HERE = Path(__file__).parent
RECIPE = json.loads((HERE / "aflow.json").read_text())
TARGETS = {"enthalpy": "DFT", "enthalpy_u": "DFT+U"}
MIXED = "enthalpy_mixed"  # both as one property, as in the published rows
COMMON = 10  # training crystals with an element, below which it is rare: most lanthanides and actinides
PENALTIES = 10.0 ** np.arange(-6, 3)


def own_values(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the enthalpy of every crystal, (B,), and which of the targets it is, (B,)."""
    columns = np.stack([dataset.values(name) for name in TARGETS], axis=1)
    which = np.isfinite(columns).argmax(axis=1)
    return columns[np.arange(len(columns)), which], which


def figures(found: np.ndarray, dataset: Dataset, part: np.ndarray) -> dict[str, float]:
    """Return mean squared (eV²) and absolute (eV/atom) errors: of all crystals, of either scheme, of common elements.

    :param found: (P,) predictions for a part; NaN where the model refuses, because the crystal holds an element that
        training had not seen. Such crystals are counted, and enter ``mse all`` with the mean of the training part.
    """
    wanted, which = own_values(dataset)
    train_part = dataset.part("train")
    means = np.array([wanted[train_part][which[train_part] == index].mean() for index in range(len(TARGETS))])
    wanted, which = wanted[part], which[part]
    known = np.isfinite(found)
    error = np.where(known, found, means[which]) - wanted
    result = {
        "mse": float((error[known] ** 2).mean()),
        "mae": float(np.abs(error[known]).mean()),
        "median": float(np.median(np.abs(error[known]))),
        "refused": int((~known).sum()),
        "mse all": float((error**2).mean()),
    }
    share = fractions(dataset.crystals) > 0
    rare = share[train_part].sum(axis=0) < COMMON
    common = known & ~(share[part] & rare).any(axis=1)
    result["mse common"] = float((error[common] ** 2).mean())
    result["rare"] = int((known & ~common).sum())
    for index, name in enumerate(TARGETS.values()):
        result[f"mse {name}"] = float((error[known & (which == index)] ** 2).mean())
    return result


def by_network(model: Path, dataset: Dataset, part: np.ndarray) -> dict[str, float]:
    """Score a model that predicts both properties, or the two as one."""
    which = own_values(dataset)[1][part]
    values = predict(dataset.crystals.take(part), model).values
    columns = np.stack([values[name] if name in values else values[MIXED] for name in TARGETS], axis=1)
    return figures(columns[np.arange(len(part)), which], dataset, part)


def fractions(crystals: Crystals) -> np.ndarray:
    """Return the share of each element in each crystal, (B, 119)."""
    result = np.zeros((len(crystals), 119))
    np.add.at(result, (crystals.owner, crystals.numbers), 1.0)
    return result / crystals.counts[:, None]


def by_ridge(dataset: Dataset, part: np.ndarray) -> dict[str, float]:
    """Score ridge regression on composition and scheme alone; the penalty that suits the validation part is taken."""
    wanted, which = own_values(dataset)
    rows = np.column_stack([fractions(dataset.crystals), which, np.ones(len(which))])
    x, y = rows[dataset.part("train")], wanted[dataset.part("train")]
    held = dataset.part("validation")
    solved = [np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y) for penalty in PENALTIES]
    best = min(solved, key=lambda weights: float(((rows[held] @ weights - wanted[held]) ** 2).mean()))
    return figures(rows[part] @ best, dataset, part)


def run(source: Path, folder: Path, seed: int, wanted: list[str]) -> dict[str, Any]:
    """Train the models asked for, and score all that are there."""
    folder.mkdir(parents=True, exist_ok=True)
    labelled = folder / "labelled.extxyz"
    labels = label(source, labelled)
    train(RECIPE, labelled, folder, seed, wanted)
    dataset = read_dataset(folder / "dataset.h5")
    part = dataset.part("test")
    files = {name: folder / f"{name}.safetensors" for name in RECIPE if name != "prepare"}
    files = {name: path for name, path in files.items() if path.is_file()}
    cards = {name: read_header(path, PREDICTORS).card for name, path in files.items()}
    digest = dataset.content_hash()
    if strangers := [name for name, card in cards.items() if card["data"]["content_hash"] != digest]:
        raise SystemExit(f"{folder}: {', '.join(strangers)} trained on another dataset; remove these files")
    return {
        "seed": seed,
        "content_hash": digest,
        "parts": {name: len(dataset.part(name)) for name in ("train", "validation", "test")},
        "labels": dict(labels),
        "figures": {
            **{name: by_network(path, dataset, part) for name, path in files.items()},
            "ridge on composition": by_ridge(dataset, part),
        },
        "training": {
            name: {key: card[key] for key in ("seconds", "device", "steps", "parameters")}
            for name, card in cards.items()
        },
    }


def spread(values: list[float], digits: int = 4) -> str:
    """Return mean and, of several values, standard deviation."""
    text = f"{statistics.fmean(values):.{digits}f}"
    return text + (f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else "")


def page(runs: list[dict[str, Any]], command: str) -> str:
    """Return the page as Markdown."""
    published = json.loads((HERE / "aflow_published.json").read_text())
    columns = {
        "mse": "MSE, eV²",
        "mae": "MAE, eV/atom",
        "median": "median error, eV/atom",
        **{f"mse {name}": f"MSE of {name}, eV²" for name in TARGETS.values()},
        "mse common": "MSE without rare elements, eV²",
        "rare": "crystals with rare ones",
        "refused": "refused",
        "mse all": "MSE with the refused, eV²",
    }
    lines = [
        "# Total enthalpy of AFLOW's cubic perovskites",
        "",
        f"| | seeds | {' | '.join(columns.values())} | training, s |",
        "|---" * (len(columns) + 3) + "|",
    ]
    for name in dict.fromkeys(name for entry in runs for name in entry["figures"]):
        mine = [entry["figures"][name] for entry in runs if name in entry["figures"]]
        cells = [spread([row[key] for row in mine], 1 if key in ("refused", "rare") else 4) for key in columns]
        seconds = [entry["training"][name]["seconds"] for entry in runs if name in entry["training"]]
        cells.append(spread(seconds, 0) if seconds else "-")
        lines.append(f"| {name.replace('-', ' ')} | {len(mine)} | {' | '.join(cells)} |")
    lines += [
        f"| published: {row['name']} | - | {row['mse']:.3f}{' | -' * len(columns)} |" for row in published["rows"]
    ]
    first = runs[0]
    lines += [
        "",
        f"Published rows: {published['source']}.",
        "",
        f"Rare elements are in fewer than {COMMON} training crystals. Refused are crystals of the test part with an "
        "element that no training crystal holds; they are in no column but the last error, with the mean of the "
        "training part.",
        "",
    ]
    for entry in runs:
        parts = ", ".join(f"{count} {name}" for name, count in entry["parts"].items())
        rows = ", ".join(f"{name} {row['mse']:.4f} ({row['refused']})" for name, row in entry["figures"].items())
        lines.append(
            f"- seed {entry['seed']}: {parts}, split by composition, content hash `{entry['content_hash'][:12]}`; "
            f"MSE (refused): {rows}"
        )
    counts = ", ".join(f"{name}: {count}" for name, count in sorted(first["labels"].items()))
    devices = sorted({f"{card['device']}" for entry in runs for card in entry["training"].values()})
    lines += [
        f"- labels ({counts}): the path of an entry says DFT+U; where it is silent (ICSD) the elements decide, see "
        "`benchmarks/quality/aflow_labels.py`",
        "- settings of every row: `benchmarks/quality/aflow.json`",
        f"- device {', '.join(devices)}, {platform.machine()}; {json.dumps(versions())}; seconds are wall time on a "
        "machine that did other work as well",
        f"- `{command}`; further rows by the same command with their `--seeds` and `--models`",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Read the command line, run every seed and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True, help="extxyz with the keys enthalpy_atom and source")
    parser.add_argument("--output", type=Path, required=True, help="folder of datasets and models, one below it a seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of split and training (%(default)s)")
    models = [name for name in RECIPE if name != "prepare"]
    parser.add_argument("--models", nargs="+", choices=models, default=["cgcnn", "voxelnet-spherical"],
                        help="of aflow.json, to train where not there yet (%(default)s)")  # fmt: skip
    parser.add_argument("--page", type=Path, default=HERE.parents[1] / "docs" / "benchmarks" / "aflow.md",
                        help="Markdown file to write, and its figures as .json beside it (%(default)s)")  # fmt: skip
    options = parser.parse_args()
    runs = [run(options.source, options.output / f"seed-{seed}", seed, options.models) for seed in options.seeds]
    shown = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:]]
    text = page(runs, f"python benchmarks/quality/aflow.py {' '.join(shown)}")
    options.page.write_text(text, encoding="utf-8")
    options.page.with_suffix(".json").write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
