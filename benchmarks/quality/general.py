"""One model for crystals of any shape: train on several data sets together, reconstruct the test part of each.

    python benchmarks/quality/general.py --source perov5=perov_5_train.csv carbon24=carbon_24_train.csv \\
        aflow=aflow_cubic_perovskite_oxides_train.extxyz --output results/general --seeds 0 1 2

The settings are in ``general.json`` beside this file; what has been trained already is not trained again. What the
prior makes is measured by ``asked.py``. The test
parts are also reconstructed from other origins, axes and cells, and so is a library of prototypes that training has
not seen. Match and RMSE as Xie et al., arXiv:2110.06197: StructureMatcher (stol 0.5, ltol 0.3, angle_tol 10), RMSE in
units of (V/N)^(1/3), over what matches; a crystal that is not rebuilt does not match.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from encoding import prototypes
from invariance import reconstruct
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure
from train import HERE, run_stage, ship

from icsg3d_models.comparison.fingerprint import FINGERPRINT_FILE, write_fingerprint
from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.crystals.cells import reduced_crystals
from icsg3d_models.crystals.symmetry import symmetrise
from icsg3d_models.data.datasets import Dataset, read_dataset
from icsg3d_models.evaluation.encoding import variants
from icsg3d_models.evaluation.encoding.site_errors import site_errors
from icsg3d_models.fields.grids import FINER
from icsg3d_models.networks.model_file import file_hash, read_header
from icsg3d_models.results import versions

NETWORKS = ("unet", "vae", "prior")
MOST = 100  # crystals of a set in another setting
TOLERANCE = 0.1  # Å, of the symmetry to which crystals are idealised
COLUMNS = {
    "match": "match, %",
    "rmse": "RMSE, (V/N)^(1/3)",
    "match_idealised": "match idealised, %",
    "rmse_idealised": "RMSE idealised",
    "whole": "every site and element right, %",
    "sites": "sites with the right element, %",
    "distance": "distance of sites, Å",
}


def prepare(recipe: dict[str, dict[str, object]], sources: dict[str, Path], folder: Path) -> dict[str, Dataset]:
    """Write a dataset file a source and the joined one; the split has seed 0 whatever the training has."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in sources.items():
        if not (folder / f"{name}.h5").is_file():
            run_stage("prepare", {**recipe[name], "source": str(source.resolve()), "dataset": f"{name}.h5"}, folder)
    if not (folder / "dataset.h5").is_file():
        files = [f"{name}.h5" for name in sources]
        run_stage("prepare", {"source": files, "name": "+".join(sources), "dataset": "dataset.h5"}, folder)
    return {name: read_dataset(folder / f"{name}.h5") for name in sources}


def train(recipe: dict[str, dict[str, object]], folder: Path, seed: int, networks: list[str]) -> Path:
    """Train the networks of one seed and take the fingerprint of the training part; return their folder."""
    run = folder / f"seed{seed}"
    run.mkdir(exist_ok=True)
    dataset = read_dataset(folder / "dataset.h5")
    digest = dataset.content_hash()
    if not (run / FINGERPRINT_FILE).is_file():
        write_fingerprint(run / FINGERPRINT_FILE, dataset.crystals.take(dataset.part("train")), dataset.name)
    for network in networks:
        model = run / f"{network}.safetensors"
        if model.is_file():
            if read_header(model, network).card["data"]["content_hash"] != digest:
                raise SystemExit(
                    f"{model} was trained on other data than {folder / 'dataset.h5'}; take another --output"
                )
            continue
        settings = {**recipe[network], "dataset": "../dataset.h5", "seed": seed, "output": f"{network}.safetensors"}
        settings["checkpoint"] = f"checkpoint_{network}"
        if (run / settings["checkpoint"] / "last.pt").is_file():
            settings["resume_from"] = settings["checkpoint"]
        run_stage("train", settings, run)
    return run


class Scores:
    """Figures of one run, kept in its folder, so that a page is written again without the hours that they took."""

    def __init__(self, run: Path) -> None:
        self.file = run / "scores.json"
        self.of_what = {name: file_hash(run / f"{name}.safetensors") for name in ("unet", "vae")} | {"finer": FINER}
        content = json.loads(self.file.read_text()) if self.file.is_file() else {}
        self.figures = content["figures"] if content.get("of") == self.of_what else {}

    def of(self, name: str, compute: Callable[[], dict[str, float | None]]) -> dict[str, float | None]:
        """Return the figures of one line of the table."""
        if name not in self.figures:
            self.figures[name] = compute()
            self.file.write_text(json.dumps({"of": self.of_what, "figures": self.figures}, indent=1))
        result: dict[str, float | None] = self.figures[name]
        return result


def scores(given: Crystals, run: Path, register: bool) -> dict[str, float | None]:
    """Reconstruct crystals and compare: by the matcher, as they are and idealised, and site by site."""
    base = reduced_crystals(given) if register else given
    found = reconstruct(base, run, run, False)
    plain, ideal = np.full((2, len(given)), np.nan)
    for index, (name, true) in enumerate(zip(given.ids, given.structures(), strict=True)):
        if name in found:
            cell, frac, numbers = symmetrise(found[name].cell[0], *found[name].sites(0), TOLERANCE)
            plain[index] = rms(true, next(found[name].structures()))
            ideal[index] = rms(true, Structure(cell, numbers, frac))
    rebuilt = Crystals.from_arrays(
        [c.cell[0] for c in found.values()],
        [c.sites(0)[0] for c in found.values()],
        [c.sites(0)[1] for c in found.values()],
        list(found),
    )
    errors = site_errors(base, rebuilt)
    sites = np.where(np.isnan(errors.species), 0.0, errors.species) * base.counts
    return {
        "match": 100 * float(np.isfinite(plain).mean()),
        "rmse": mean_of(plain),
        "match_idealised": 100 * float(np.isfinite(ideal).mean()),
        "rmse_idealised": mean_of(ideal),
        "whole": 100 * float((errors.species == 1.0).mean()),
        "sites": 100 * float(sites.sum() / base.counts.sum()),
        "distance": mean_of(errors.mean),
    }


def rms(true: Structure, found: Structure) -> float:
    """Return the RMS displacement in units of (V/N)^(1/3), NaN where the crystals do not match."""
    match = StructureMatcher(stol=0.5, angle_tol=10, ltol=0.3).get_rms_dist(true, found)
    return math.nan if match is None else float(match[0])


def mean_of(values: np.ndarray) -> float | None:
    """Return the mean of what is not NaN, None where nothing is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def rows(datasets: dict[str, Dataset], training: Dataset, elements: set[int]) -> dict[str, tuple[Crystals, bool]]:
    """Return the crystals of each line of the table, and whether the stage may reduce their cells."""
    rng = np.random.default_rng(0)
    known = set(training.crystals.take(training.part("train")).formulas())
    found: dict[str, tuple[Crystals, bool]] = {}
    changes: dict[str, Callable[[Crystals], Crystals]] = {
        "random origin": lambda c: variants.random_origin(c, rng),
        "random origin and axes": lambda c: variants.permuted_axes(variants.random_origin(c, rng), rng),
        "sheared cell": lambda c: variants.sheared(variants.random_origin(c, rng), rng),
        "triclinic, 5 % strain": lambda c: variants.triclinic(variants.random_origin(c, rng), rng),
    }
    for name, dataset in datasets.items():
        test = dataset.crystals.take(dataset.part("test"))
        found[f"{name}, test part"] = test, True
        new = [i for i, formula in enumerate(test.formulas()) if formula not in known]
        if 0 < len(new) < len(test):
            found[f"{name}, test part, compositions that no other set trains on"] = test.take(new), True
        some = test.take(range(min(MOST, len(test))))
        for kind, change in changes.items():
            found[f"{name}, {kind}"] = change(some), True
        few = some.take(range(min(20, len(some))))
        large = variants.supercell(variants.random_origin(few, rng), (2, 2, 2))
        found[f"{name}, supercell 2 x 2 x 2 as one crystal"] = large, False
    library = prototypes()
    usable = [i for i in range(len(library)) if set(library.sites(i)[1].tolist()) <= elements]
    found["prototypes of the AFLOW library with elements that it knows"] = library.take(usable), True
    return found


def main() -> None:
    """Read the command line, train and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", nargs="+", default=[], metavar="NAME=FILE", help="names as in general.json")
    parser.add_argument("--output", type=Path, required=True, help="folder of datasets, models and the page")
    parser.add_argument("--ship", type=Path, help="instead of all that, copy the models of the first seed there")
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=list(NETWORKS), help="networks to train")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    if options.ship is not None:
        start = "python benchmarks/quality/general.py --output FOLDER "
        ship(
            options.output / f"seed{options.seeds[0]}",
            options.ship,
            [start + "--source NAME=DATA ...", start + "--ship TO"],
        )
        return
    recipe = json.loads((HERE / "general.json").read_text())
    sources = {name: Path(file) for name, _, file in (entry.partition("=") for entry in options.source)}
    datasets = prepare(recipe["prepare"], sources, options.output)
    joined = read_dataset(options.output / "dataset.h5")
    results: dict[str, dict[str, object]] = {}
    cards = []
    for seed in options.seeds:
        run = train(recipe, options.output, seed, options.only)
        headers = {network: read_header(run / f"{network}.safetensors", network) for network in options.only}
        cards.append({network: header.card for network, header in headers.items()})
        kept = Scores(run)
        for name, (crystals, register) in rows(datasets, joined, set(headers["vae"].config["elements"])).items():
            start = time.perf_counter()
            entry = results.setdefault(name, {"n": len(crystals), "sites": int(crystals.counts.max()), "runs": []})
            figures = kept.of(name, lambda: scores(crystals, run, register))  # noqa: B023 - called at once
            entry["runs"].append({"seed": seed, **figures})  # type: ignore[attr-defined]
            print(f"seed {seed}, {name}: {figures}, {time.perf_counter() - start:.0f} s", flush=True)
    (options.output / "general.json").write_text(json.dumps(results, indent=1) + "\n")
    (options.output / "general.md").write_text(page(results, datasets, joined, cards, options.seeds))


def page(
    results: dict[str, dict[str, object]],
    datasets: dict[str, Dataset],
    joined: Dataset,
    cards: list[dict[str, dict[str, object]]],
    seeds: list[int],
) -> str:
    """Return the Markdown page: mean over the seeds, and the lowest and highest in brackets."""

    def spread(runs: list[dict[str, float]], key: str, digits: int) -> str:
        values = [run[key] for run in runs if run[key] is not None]
        if not values:
            return "-"
        mean = f"{np.mean(values):.{digits}f}"
        return mean if len(values) == 1 else f"{mean} ({min(values):.{digits}f} to {max(values):.{digits}f})"

    published = json.loads((HERE / "published.json").read_text())
    lines = [
        "# One model for crystals of any shape",
        "",
        f"U-Net and local VAE, both trained on {', '.join(datasets)}; written by `benchmarks/quality/general.py`. "
        f"Seeds of the training: {', '.join(map(str, seeds))}; mean, and in brackets the lowest and the highest. "
        f"Points of the fields are at most {FINER} of the spacing of training apart, a share that was chosen on the "
        "validation parts of one seed.",
        "",
        f"Idealised: to the symmetry found within {TOLERANCE} Å, as `symmetry_tolerance` of the stage rebuild does. "
        "The matcher compares primitive cells, and where a few hundredths of an Å hide that a cell is not primitive it "
        "finds no match. The last three columns need no matcher: sites are paired in the frame of the true crystal.",
        "",
        f"| crystals | n | sites, most | {' | '.join(COLUMNS.values())} |",
        "|---" * (3 + len(COLUMNS)) + "|",
    ]
    for name, entry in results.items():
        runs: list[dict[str, float]] = entry["runs"]  # type: ignore[assignment]
        cells = [spread(runs, key, 4 if key.startswith("rmse") or key == "distance" else 2) for key in COLUMNS]
        lines.append(f"| {name} | {entry['n']} | {entry['sites']} | {' | '.join(cells)} |")
    lines += ["", "Published, on the test part that comes with each set, trained on all of its training part:", ""]
    lines += ["| set | model | match, % | RMSE | source |", "|---|---|---|---|---|"]
    for name in [name for name in datasets if name in published]:
        for row in published[name]["reconstruction"]:
            match, rmse = (row["figures"].get(f"match_{key}_not_gated", "") for key in ("rate", "rmse"))
            lines.append(f"| {name} | {row['name']} | {match} | {rmse} | {row['source']} |")
    lines += ["", "| data | crystals | train, validation, test | split by | content hash |", "|---|---|---|---|---|"]
    for name, dataset in {**datasets, "joined": joined}.items():
        parts = ", ".join(str(int((dataset.split == i).sum())) for i in range(3))
        by = "-" if name == "joined" else ("crystal" if len(set(dataset.crystals.formulas())) == 1 else "composition")
        lines.append(f"| {name} | {len(dataset.crystals)} | {parts} | {by} | `{dataset.content_hash()[:16]}` |")
    lines += ["", "| network | parameters | training, s | device |", "|---|---|---|---|"]
    for network in cards[0]:
        seconds = ", ".join(f"{float(str(card[network]['seconds'])):.0f}" for card in cards)
        lines.append(f"| {network} | {cards[0][network]['parameters']} | {seconds} | {cards[0][network]['device']} |")
    known = ", ".join(f"{name} {version}" for name, version in versions().items())
    lines += ["", f"{platform.processor() or platform.machine()}; {known}.", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
