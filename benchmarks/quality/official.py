"""The official tables of a data set: reconstruction, new crystals and structure prediction, beside the published rows.

    python benchmarks/quality/official.py mp20 --test test.csv --train train.csv --output results/mp20
    python benchmarks/quality/official.py perov5 --test test.csv --models results/perov5 --output results/perov5-test

The files are those of the official split, CSV with a column ``cif``; any other source of ``icsg3d prepare`` will do.
Without ``--models`` the shipped set of the data is taken, which has not seen the test file; with ``--fit`` a set is
trained on ``--train`` first, by the recipe of that name. Nothing is tuned on the test file: it is read, and scored.
``--train`` is what novelty is judged against, and tells which test crystals have no match in training: random splits
leak, so that every table has a second row for those. What was measured already in the output folder is not again.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from evaluate import NETWORKS, stage
from official_page import page
from train import HERE, run_stage, train

import icsg3d_models
from icsg3d_models.conditions.stoichiometry import formula_of
from icsg3d_models.crystals.batch import Crystals, joined_crystals
from icsg3d_models.crystals.cells import reduced_crystals
from icsg3d_models.crystals.crystal_file import read_crystal_file
from icsg3d_models.crystals.symmetry import space_group_numbers
from icsg3d_models.data.datasets import read_dataset
from icsg3d_models.evaluation.metrics.prediction import distances_of, everyone_to_reference, match_rate_of
from icsg3d_models.networks.model_file import file_hash, read_header
from icsg3d_models.prediction.predict import drawn_of
from icsg3d_models.results import Report, StageError
from icsg3d_models.settings import PredictSettings

PRETRAINED = Path(icsg3d_models.__file__).parent / "pretrained"
SHIPPED = {"perov5": "perov5", "carbon24": "wide", "mp20": "wide", "mpts52": "wide"}
PREDICTS = {**SHIPPED, "perov5": "general"}
"""The prior of `perov5` knows elements, but no compositions."""
RECIPES = {"perov5": "perov5", "carbon24": "general", "mp20": "general", "mpts52": "general"}
ASKED: dict[str, dict[str, Any]] = {"carbon24": {"elements": ["C"]}}
"""Of a shipped set that makes more than the crystals of the data."""
K = 20
Figures = dict[str, Any]


def prepare(source: Path, name: str, folder: Path) -> Path:
    """Return the dataset file of a source, all of it in one part."""
    path = folder / f"{name}.h5"
    if not path.is_file():
        whole = {"train": 1.0, "validation": 0.0, "test": 0.0}
        run_stage(
            "prepare", {"source": str(source.resolve()), "name": name, "dataset": path.name, "split": whole}, folder
        )
    return path


def kept(folder: Path, name: str, measure: Any) -> Figures:
    """Return figures from their file, measured where it is not there."""
    path = folder / f"{name}_figures.json"
    if not path.is_file():
        figures = measure()
        path.write_text(json.dumps(figures, indent=1))
    found: Figures = json.loads(path.read_text())
    return found


def details(folder: Path) -> list[dict[str, str]]:
    """Return the rows that ``icsg3d evaluate`` wrote."""
    with open(folder / "evaluation.csv", newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def unmatched(folder: Path, test: Path, training: Path, threads: int) -> list[str]:
    """Return the ids of the test crystals that have no match in training, by MatterGen's tolerances."""
    there = folder / "unmatched"
    there.mkdir(exist_ok=True)
    chosen = {"mode": "generation", "crystals": str(test), "reference": str(test), "part": "all"}
    stage("evaluate", there, **chosen, training=str(training), novelty_samples=10**9, threads=threads)
    return [row["id"] for row in details(there) if row["novel"] == "True"]


def stages(folder: Path, models: Path, seed: int, **sampling: object) -> Figures:
    """Sample, segment and rebuild; return processor seconds and wall seconds, and how many came out."""
    files = {name: str((models / f"{name}.safetensors").resolve()) for name in NETWORKS}
    wall = 0.0
    for name, settings in (
        ("sample", {"vae": files["vae"], "prior": files["prior"], "seed": seed, **sampling}),
        ("segment", {"unet": files["unet"], "seed": seed}),
        ("rebuild", {"seed": seed}),
    ):
        results = stage(name, folder, **settings)
        wall += results["wall_time_seconds"]
    for large in ("fields.h5", "segments.h5"):
        (folder / large).unlink(missing_ok=True)
    return {"wall_seconds": wall, "device": results["device"]}


def reconstruction(folder: Path, models: Path, test: Path, new: list[str] | None, options: Any) -> Figures:
    """Encode and decode the test crystals, and score what comes back."""
    there = folder / "reconstruction"
    there.mkdir(exist_ok=True)
    data = str(test.resolve())
    done = stages(there, models, options.seed, mode="reconstruct", base=data, base_part="train", register_base=False)
    chosen = {"mode": "reconstruction", "paired_by": "order", "reference": data, "part": "all"}
    results = stage("evaluate", there, **chosen, seed=options.seed, threads=options.threads)
    figures = {**done, **results["scalars"]}
    if new is not None:
        wanted = set(new)
        rms = [float(row["rms"]) if row["rms"] else np.nan for row in details(there) if row["id"] in wanted]
        found = np.isfinite(rms)
        figures["new"] = len(rms)
        if rms:
            figures["new_match_rate_not_gated"] = float(found.mean())
        if found.any():
            figures["new_match_rmse_not_gated"] = float(np.array(rms)[found].mean())
    return figures


def generation(folder: Path, models: Path, test: Path, training: Path | None, options: Any, cutoffs: str) -> Figures:
    """Draw new crystals, score them against the test file, and count their space groups."""
    there = folder / "generation"
    there.mkdir(exist_ok=True)
    done = stages(there, models, options.seed, mode="prior", n_samples=options.samples, **options.asked)
    chosen = {"mode": "generation", "reference": str(test.resolve()), "part": "all", "cutoffs": cutoffs}
    if training is not None:
        chosen["training"] = str(training.resolve())
    results = stage("evaluate", there, **chosen, samples=options.samples, threads=options.threads, seed=options.seed)
    made = read_crystal_file(there / "crystals.h5")
    numbers = np.array(space_group_numbers(made))
    return {**done, **results["scalars"], "symmetric": float((numbers > 1).sum() / options.samples),
            "a_second": options.samples / done["wall_seconds"]}  # fmt: skip


def prediction(folder: Path, models: Path, test: Path, new: list[str] | None, options: Any) -> Figures:
    """Give compositions of test crystals, drawn at random, and look for the crystals among K samples each."""
    crystals = read_dataset(test).crystals
    drawn = np.random.default_rng(options.seed).permutation(len(crystals))[: options.predict or len(crystals)]
    true = reduced_crystals(crystals.take(sorted(drawn.tolist())))
    distances, firsts = np.full((len(true), K), np.nan), []
    begun = time.process_time()
    for index in range(len(true)):
        samples, places = samples_of(models, folder, true.sites(index)[1].tolist(), options, index)
        distances[index] = distances_of(samples, places, K, true, index)
        if 0 in places:
            firsts.append(samples.take([places.index(0)]))
        if (index + 1) % 20 == 0:
            print(f"prediction: {index + 1} of {len(true)}", flush=True)
    figures: Figures = {"crystals": len(true), "of": len(crystals), "process_seconds": time.process_time() - begun}
    for label, rows in (("", slice(None)), ("new_", [i for i, n in enumerate(true.ids) if n in set(new or ())])):
        if len(distances[rows]):
            for k in (1, K):
                rate, rmse = match_rate_of(distances[rows], k)
                figures |= {f"{label}match_{k}": rate, f"{label}rmse_{k}": rmse if np.isfinite(rmse) else None}
            figures[f"{label}crystals"] = len(distances[rows])
    pool = joined_crystals(firsts) if firsts else true.take([])
    figures["metre"], figures["crmse"] = everyone_to_reference(pool, true)
    return figures


def samples_of(models: Path, folder: Path, numbers: list[int], options: Any, index: int) -> tuple[Crystals, list[int]]:
    """Return the crystals that come of K samples of a composition, and which of the samples they are."""
    files = {name: str((models / f"{name}.safetensors").resolve()) for name in NETWORKS}
    chosen = {"composition": formula_of(dict(sorted(Counter(numbers).items()))), "n_samples": K,
              "guidance": options.guidance, "seed": options.seed + index}  # fmt: skip
    try:
        found = drawn_of(PredictSettings.model_validate({**files, **chosen}), Report("predict", folder, quiet=True))
    except StageError as exception:  # an element that the models do not know, a cell too large: all K are missed
        print(f"{chosen['composition']}: {exception}", flush=True)
        return Crystals.from_arrays([], [], [], []), []
    return found.crystals, [int(name.rpartition("_s")[2]) for name in found.crystals.ids]


def fitted(options: argparse.Namespace) -> Path:
    """Train a set on the training file by the recipe of the data, and return its folder."""
    models: Path = options.output / "models"
    recipe = json.loads((HERE / f"{RECIPES[options.data]}.json").read_text())
    told = recipe["prepare"]  # of one data set, or of several by name
    recipe["prepare"] = told if "name" in told else told.get(options.data, {"name": options.data})
    train(recipe, options.train, models, options.seed, list(NETWORKS))
    return models


def check_output(options: argparse.Namespace, test: Path, models: Path, predicting: Path) -> None:
    """Refuse a folder that holds figures of something else.

    :raises SystemExit: it does.
    """
    of_what = {
        "test": file_hash(test), "predicting": file_hash(predicting / "prior.safetensors"),
        **{name: file_hash(models / f"{name}.safetensors") for name in NETWORKS},
        **{name: getattr(options, name) for name in ("samples", "predict", "guidance", "seed")},
    }  # fmt: skip
    stamp = options.output / "of.json"
    if stamp.is_file() and json.loads(stamp.read_text()) != of_what:
        raise SystemExit(f"{options.output} holds figures of other files or options; take another --output")
    stamp.write_text(json.dumps(of_what, indent=1))


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("data", choices=list(SHIPPED))
    add("--test", type=Path, required=True, help="the official test file, or another that is held back")
    add("--train", type=Path, help="the official train file: novelty, and what leaks")
    add("--models", type=Path, help="folder of vae, unet and prior (default: the shipped set)")
    add("--predict-models", type=Path, help="another set for the prediction, whose prior has the condition composition "
        "(default: --models, else a shipped set that has it)")  # fmt: skip
    add("--fit", action="store_true", help="train on --train first, into --output/models")
    add("--samples", type=int, default=10_000, help="new crystals (%(default)s)")
    add("--predict", type=int, default=200, help="compositions to predict; 0: all (%(default)s)")
    add("--guidance", type=float, default=2.0, help="of the prediction (%(default)s)")
    add("--seed", type=int, default=0)
    add("--threads", type=int, default=2, help="processes of the scoring (%(default)s)")
    add("--output", type=Path, required=True, help="folder of everything")
    add("--page", type=Path, help="Markdown file to write (default: DATA.md in the folder)")
    options = parser.parse_args()
    if options.fit and (options.train is None or options.models is not None):
        parser.error("--fit trains on --train, into --output/models; give --train, and no --models")
    return options


def main() -> None:
    """Measure what is not measured yet, and write the page."""
    options = read_options()
    options.output.mkdir(parents=True, exist_ok=True)
    models = fitted(options) if options.fit else options.models or PRETRAINED / SHIPPED[options.data]
    shipped = not options.fit and options.models is None
    options.asked = ASKED.get(options.data, {}) if shipped else {}
    predicting = options.predict_models or (PRETRAINED / PREDICTS[options.data] if shipped else models)
    conditions = read_header(predicting / "prior.safetensors", "prior").config["conditions"]
    if "composition" not in {condition["name"] for condition in conditions}:
        raise SystemExit(f"the prior of {predicting} has no condition composition; give --predict-models")
    test = prepare(options.test, "test", options.output)
    training = None if options.train is None else prepare(options.train, "training", options.output)
    check_output(options, test, models, predicting)
    published = json.loads((HERE / "published.json").read_text())[options.data]
    out, new = options.output, None
    if training is not None:
        new = kept(out, "unmatched", lambda: {"ids": unmatched(out, test, training, options.threads)})["ids"]
    figures = {
        "reconstruction": kept(out, "reconstruction", lambda: reconstruction(out, models, test, new, options)),
        "generation": kept(
            out, "generation", lambda: generation(out, models, test, training, options, published["cutoffs"])
        ),
        "prediction": kept(out, "prediction", lambda: prediction(out, predicting, test, new, options)),
    }
    target = options.page or out / f"{options.data}.md"
    target.write_text(page(options, models, predicting, read_dataset(test), new, figures, published), encoding="utf-8")
    print(target.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
