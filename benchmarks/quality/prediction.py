"""Crystal structure prediction: the composition of a held-back crystal in, and is the crystal among k samples?

    python benchmarks/quality/prediction.py --dataset perov5.h5 --crystals 50 --output results/prediction
    python benchmarks/quality/prediction.py --dataset wide.h5 --models icsg3d_models/pretrained/wide --beside mp20 \\
        --crystals 100 --singles 200 --potential chgnet --output results/prediction_wide

Match rate and RMSE as DiffCSP (arXiv:2309.04475) defines them, for the first sample, for the crystal that comes up most
often among all samples (which needs no more knowledge), for the one that is ranked first by this and the energies of a
potential, nothing relaxed, and for the best of all. The composition is kept in rebuilding.
The crystals are the first of the part in the order of the dataset, in reduced primitive cells. Defaults are the shipped
models; whether training has seen a composition depends on the dataset that is given.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

import icsg3d_models
from icsg3d_models.conditions.stoichiometry import formula_of
from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.crystals.cells import reduced_crystals
from icsg3d_models.data.datasets import Dataset, read_dataset
from icsg3d_models.evaluation.metrics.prediction import distances_of, match_rate_of
from icsg3d_models.networks.model_file import file_hash
from icsg3d_models.networks.symmetric import Symmetric
from icsg3d_models.prediction.predict import Drawn, drawn_of, ranked
from icsg3d_models.results import Report, versions
from icsg3d_models.settings import PredictSettings

SHIPPED = Path(icsg3d_models.__file__).parent / "pretrained" / "general"
K = 20
PUBLISHED = Path(__file__).with_name("published.json")


def samples_of(options: argparse.Namespace, formula: str, count: int) -> tuple[Drawn, list[int]]:
    """Return the crystals that come of samples of a composition, and which of the samples they are."""
    files = {name: str((options.models / f"{name}.safetensors").resolve()) for name in ("vae", "unet", "prior")}
    chosen = {"composition": formula, "n_samples": count, "guidance": options.guidance, "seed": options.seed}
    if options.potential is not None and count > 1:
        chosen |= {"potential": {"name": options.potential}, "relax": False}
    report = Report("predict", options.output, quiet=True)
    drawn = drawn_of(PredictSettings.model_validate({**files, **chosen}), report)
    return drawn, [int(name.rpartition("_s")[2]) for name in drawn.crystals.ids]


def formula_in(true: Crystals, index: int) -> str:
    """Return what a crystal is made of."""
    return formula_of(dict(sorted(Counter(true.sites(index)[1].tolist()).items())))


def figures(options: argparse.Namespace, true: Crystals) -> dict[str, np.ndarray]:
    """Return the distances of all samples from the crystals, (B, K), and of those that are chosen, (B, 1)."""
    found = {"all": np.full((len(true), options.k), np.nan)}
    found |= {name: np.full((len(true), 1), np.nan) for name in ("most", "energy")}
    for index in range(len(true)):
        drawn, places = samples_of(options, formula_in(true, index), options.k)
        found["all"][index] = distances_of(drawn.crystals, places, options.k, true, index)
        if len(places):
            unknown = replace(drawn, energy=np.full(len(places), np.nan))
            for name, of in (("most", unknown), ("energy", drawn)):
                found[name][index] = found["all"][index, places[ranked(of, relaxed=False)[0][0]]]
        if (index + 1) % 10 == 0:
            print(f"{index + 1} of {len(true)}: {match_rate_of(found['all'][: index + 1], options.k)}", flush=True)
    return found


def singles(options: argparse.Namespace, true: Crystals) -> np.ndarray:
    """Return the distances of one sample of each crystal, (B, 1)."""
    found = np.full((len(true), 1), np.nan)
    for index in range(len(true)):
        drawn, places = samples_of(options, formula_in(true, index), 1)
        found[index] = distances_of(drawn.crystals, places, 1, true, index)
        if (index + 1) % 50 == 0:
            print(f"{index + 1} of {len(true)}: {match_rate_of(found[: index + 1], 1)}", flush=True)
    return found


def published_rows(table: str) -> list[str]:
    """Return the published rows of a table of ``published.json``, the best first."""
    rows = json.loads(PUBLISHED.read_text())[table]["prediction"]
    shown = [[str(row["figures"].get(name, "-")) for name in ("match_1", "rmse_1", "match_20")] for row in rows]
    return [
        f"| {row['name']} ({row['source']}; {row['protocol']}) | {' | '.join(figures)} |"
        for row, figures in zip(rows, shown, strict=True)
    ]


def main() -> None:
    """Read the command line, predict and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, required=True, help="dataset file with the part that is held back")
    parser.add_argument("--part", default="test", choices=("validation", "test"))
    parser.add_argument("--crystals", type=int, default=50, help="how many of the part (%(default)s)")
    parser.add_argument("--models", type=Path, default=SHIPPED, help="folder of vae, unet and prior")
    parser.add_argument("--beside", default="perov5", choices=("perov5", "carbon24", "mp20"), help="published rows")
    parser.add_argument("--guidance", type=float, default=2.0)
    parser.add_argument("--potential", help="rank by its energies too, such as chgnet")
    parser.add_argument("--singles", type=int, default=0, help="more crystals, of one sample each (%(default)s)")
    parser.add_argument("--k", type=int, default=K, help="samples of a composition (%(default)s)")
    parser.add_argument("--not-shown", action="store_true", help="do not show the prior where operations stand")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True, help="folder of the page and of intermediate files")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    if options.not_shown:
        Symmetric.shown = lambda *_: None  # type: ignore[method-assign]
    dataset: Dataset = read_dataset(options.dataset)
    part = dataset.part(options.part)
    true = reduced_crystals(dataset.crystals.take(part[: options.crystals]))
    start = time.process_time()
    found = figures(options, true)
    seconds = time.process_time() - start
    rows = {
        "first sample": match_rate_of(found["all"], 1),
        f"the most frequent of {options.k}": match_rate_of(found["most"], 1),
    }
    if options.potential is not None:
        rows[f"the first of {options.k} by this and the energies of {options.potential}"] = match_rate_of(
            found["energy"], 1
        )
    rows[f"best of {options.k}"] = match_rate_of(found["all"], options.k)
    if options.singles:
        more = reduced_crystals(dataset.crystals.take(part[options.crystals : options.crystals + options.singles]))
        first = np.concatenate([found["all"][:, :1], singles(options, more)])
        rows[f"first sample of {len(first)} crystals"] = match_rate_of(first, 1)
    names = ("vae", "unet", "prior")
    hashes = ", ".join(f"{name} `{file_hash(options.models / f'{name}.safetensors')[:12]}`" for name in names)
    lines = [
        f"# Crystal structure prediction, `{options.models.name}`",
        "",
        f"Written by `benchmarks/quality/prediction.py` with the models `{options.models.name}`: the composition of "
        f"{len(true)} crystals of the {options.part} part of {dataset.name} ({len(part)} crystals), {options.k} "
        f"samples each, guidance {options.guidance:g}{', operations not shown' if options.not_shown else ''}.",
        "",
        "| | match, % | RMSE |",
        "|---|---|---|",
        *(f"| {name} | {100 * rate:.1f} | {rmse:.4f} |" for name, (rate, rmse) in rows.items()),
        "",
        f"Published, on the official test part of {options.beside} by models trained on its training part:",
        "",
        f"| | first sample, match % | RMSE | best of {options.k}, match % |",
        "|---|---|---|---|",
        *published_rows(options.beside),
        "",
        f"{seconds / (options.k * len(true)) * 1000:.0f} ms of processor time a sample, matching included.",
        "",
        f"- models: {hashes}; seed {options.seed}; dataset `{dataset.content_hash()[:16]}`",
        f"- {platform.machine()}, {json.dumps(versions())}",
    ]
    page = "\n".join(lines) + "\n"
    (options.output / "prediction.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
