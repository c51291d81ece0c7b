"""Score trained models on their test part and write the table beside the published rows.

    python benchmarks/quality/evaluate.py perov5 --runs results/perov5-0 results/perov5-1 results/perov5-2
    python benchmarks/quality/evaluate.py perov5 --runs results/perov5_half-0 --page docs/benchmarks/perov5_half.md

A run is a folder that ``train.py`` has filled; several are seeds, and the table shows mean and standard deviation.
Every stage is the project's own command ``icsg3d``: the test crystals are encoded and decoded (reconstruction), new
ones are drawn from the prior (generation), and both are scored by ``icsg3d evaluate``. Every number of the table
comes from a results.json or from ``published.json``.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from icsg3d_models.data.datasets import read_dataset
from icsg3d_models.evaluation.figures import KINDS, SHARE

HERE = Path(__file__).parent
NETWORKS = ("unet", "vae", "prior")
MODES = ("reconstruction", "generation")
# The rows of the published tables, and what makes them honest.
COLUMNS = {
    "reconstruction": ("match_rate_not_gated", "match_rmse_not_gated", "match_rate", "match_rmse"),
    "generation": (
        *("structure_validity", "composition_validity", "cov_recall", "cov_precision"),
        *("wasserstein_density", "wasserstein_elements", "uniqueness", "novelty", "novel_compositions"),
    ),
}


def stage(name: str, folder: Path, **settings: object) -> dict[str, Any]:
    """Run ``icsg3d NAME`` in the folder and return its results."""
    (folder / f"{name}.json").write_text(json.dumps(settings, indent=1))
    command = [sys.executable, "-m", "icsg3d_models.cli", name, f"{name}.json"]
    code = subprocess.run(command, cwd=folder, check=False).returncode
    results = json.loads((folder / "results.json").read_text())
    # A model that rebuilds nothing is scored too, with zero.
    if code and results["status"] != "nothing_rebuilt":
        raise SystemExit(f"{name} in {folder}: {results['status']}, {results['message']}")
    shutil.move(folder / "results.json", folder / f"{name}_results.json")
    return results


def rebuild(run: Path, folder: Path, seed: int, **sampling: object) -> dict[str, Any]:
    """Sample, segment and rebuild into ``crystals.h5``; return the results of the rebuilding."""
    models = {name: str((run / f"{name}.safetensors").resolve()) for name in NETWORKS}
    stage("sample", folder, vae=models["vae"], prior=models["prior"], seed=seed, **sampling)
    stage("segment", folder, unet=models["unet"], seed=seed)
    results = stage("rebuild", folder, seed=seed)
    for large in ("fields.h5", "segments.h5"):
        (folder / large).unlink()
    return results


def reconstruct(run: Path, folder: Path, seed: int, threads: int) -> dict[str, Any]:
    """Encode and decode the test part and score what comes back."""
    dataset_file = str((run / "dataset.h5").resolve())
    rebuild(run, folder, seed, mode="reconstruct", base=dataset_file, base_part="test", register_base=False)
    cache = str((run / "fingerprints.h5").resolve())
    # sample i is test crystal i; a sample that was not rebuilt is not there and counts as a failure
    chosen = {"mode": "reconstruction", "paired_by": "order", "reference": dataset_file, "cache": cache}
    return stage("evaluate", folder, seed=seed, threads=threads, **chosen)


def generate(run: Path, folder: Path, seed: int, threads: int, samples: int, cutoffs: str) -> dict[str, Any]:
    """Draw new crystals from the prior and score them against the test part."""
    rebuild(run, folder, seed, mode="prior", n_samples=samples)
    dataset_file = str((run / "dataset.h5").resolve())
    cache = str((run / "fingerprints.h5").resolve())
    chosen = {"mode": "generation", "reference": dataset_file, "cache": cache, "cutoffs": cutoffs, "samples": samples}
    return stage("evaluate", folder, seed=seed, threads=threads, **chosen)


def spread_of(values: list[float], name: str) -> str:
    """Return mean and, of several values, standard deviation, as the published tables write the figure."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return "-"
    factor, digits = (100, 2) if KINDS[name].unit == SHARE else (1, 4)
    text = f"{factor * statistics.fmean(finite):.{digits}f}"
    return text + (f" ± {factor * statistics.stdev(finite):.{digits}f}" if len(finite) > 1 else "")


def table(mode: str, results: list[dict[str, Any]], published: list[dict[str, Any]]) -> str:
    """Return the table of one mode as Markdown: this project, its ceilings, the published rows."""
    names = COLUMNS[mode]
    head = " | ".join(f"{KINDS[n].label}, {KINDS[n].unit}" for n in names)
    lines = [f"| | {head} |", "|---" * (len(names) + 1) + "|"]

    def row(label: str, prefix: str = "") -> str:
        cells = [spread_of([r["scalars"].get(prefix + n, math.nan) for r in results], n) for n in names]
        return f"| {label} | {' | '.join(cells)} |"

    lines += [row("this project"), row("the test part itself", "reference_")]
    if mode == "generation":
        lines.append(row("the training part itself", "training_"))
    for entry in published:
        cells = [str(entry["figures"].get(n, "-")) for n in names]
        lines.append(f"| {entry['name']} ({entry['source']}) | {' | '.join(cells)} |")
    return "\n".join(lines)


def describe(run: Path) -> str:
    """Return one line on a run: data, its hash, split, seed, training time and device."""
    dataset = read_dataset(run / "dataset.h5")
    trained = [json.loads((run / f"{name}_results.json").read_text()) for name in NETWORKS]
    parts = ", ".join(f"{part} {trained[0]['counts'][part]}" for part in ("train", "validation", "test"))
    seconds = sum(result["wall_time_seconds"] for result in trained)
    device = ", ".join(sorted({result["device"] for result in trained}))
    return (
        f"- {run.name}: {dataset.name} {dataset.content_hash()[:12]}, split by composition ({parts}), "
        f"seed {trained[0]['seed']}, trained {seconds:.0f} s on {device}"
    )


def main() -> None:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", help="name of the data in published.json, as `perov5`")
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="folders that train.py has filled")
    parser.add_argument("--samples", type=int, default=10_000, help="crystals to generate a run")
    parser.add_argument("--threads", type=int, default=2, help="processes of the evaluation")
    parser.add_argument("--reuse", action="store_true", help="write the page from the results that are there")
    parser.add_argument("--page", type=Path, help="Markdown file to write; default: DATASET.md beside the first run")
    options = parser.parse_args()
    known = json.loads((HERE / "published.json").read_text())
    if options.dataset not in known:
        parser.error(f"{options.dataset}: not in published.json, which has {', '.join(known)}")
    published = known[options.dataset]
    scores: dict[str, list[dict[str, Any]]] = {mode: [] for mode in MODES}
    for run in options.runs:
        seed = json.loads((run / "vae_results.json").read_text())["seed"]
        for mode in MODES:
            folder = run / mode
            folder.mkdir(exist_ok=True)
            if options.reuse:
                scores[mode].append(json.loads((folder / "evaluate_results.json").read_text()))
            elif mode == "reconstruction":
                scores[mode].append(reconstruct(run, folder, seed, options.threads))
            else:
                done = generate(run, folder, seed, options.threads, options.samples, published["cutoffs"])
                scores[mode].append(done)
    page = options.page or options.runs[0].parent / f"{options.dataset}.md"
    lines = [f"# {page.stem}", ""]
    for mode in MODES:
        lines += [f"## {mode.capitalize()}", "", table(mode, scores[mode], published[mode]), ""]
    conditions = json.loads((options.runs[0] / "generation" / "evaluation.json").read_text())["conditions"]
    kept = ("structure", "composition", "samples", "cut-offs of structure and composition", "uniqueness and novelty")
    lines += [*(describe(run) for run in options.runs), *(f"- {key}: {conditions[key]}" for key in kept)]
    lines.append(f"- {published['note']}")
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(page.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
