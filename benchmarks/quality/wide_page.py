"""The page of the models `wide`: measured here, beside published rows with their sources."""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from pathlib import Path
from typing import Any

import h5py
from asked import share
from conditioning import generate
from general import scores
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Composition
from train import HERE

import icsg3d_models
from icsg3d_models.crystals.batch import Crystals, write_crystals
from icsg3d_models.crystals.symmetry import space_group_numbers
from icsg3d_models.data.datasets import Dataset, read_dataset
from icsg3d_models.evaluation.evaluate import run as evaluate
from icsg3d_models.evaluation.figures import KINDS, SHARE
from icsg3d_models.networks.model_file import read_header
from icsg3d_models.properties.meaning import meaning_of
from icsg3d_models.results import Report, versions
from icsg3d_models.settings import EvaluateSettings

SHIPPED = Path(icsg3d_models.__file__).parent / "pretrained" / "wide"

SETS = ("wide", "perov5", "carbon24")
FIGURES = (
    *("rebuilt", "structure_validity", "composition_validity", "cov_recall", "cov_precision"),
    *("wasserstein_density", "wasserstein_elements", "uniqueness", "novelty"),
)
WISHES: tuple[dict[str, Any], ...] = (
    {"elements": ["Li", "Mn", "O"]},
    *({"composition": formula} for formula in ("CaTiO3", "NaCl", "TiO2", "Bi2Te3", "Ca3N2", "Li2MnO3")),
    {"elements": ["C"], "n_atoms": 12},
    *({"space_group": number} for number in (225, 221, 194, 62)),
)


def page(folder: Path, run: Path, general: Path, options: argparse.Namespace) -> str:
    """Measure what is not measured yet and return the Markdown page."""
    dataset = read_dataset(folder / "dataset.h5")
    vae = read_header(run / "vae.safetensors", "vae")
    lines = [
        "# Models for any chemistry",
        "",
        "Written by `benchmarks/quality/wide.py`. U-Net and VAE are those of `general`, which have learned "
        f"{dataset.name}: {(dataset.split == 0).sum()} crystals of {len(vae.config['elements'])} elements; the VAE "
        "kept its encoder. No crystal whose reduced formula is in the test file of MP-20 is among them; those of its "
        "validation file and of the validation and test files of MPTS-52 are, so that tables of MPTS-52 say nothing of "
        "these models.",
        "",
        "## Reconstruction of the test part",
        "",
        *reconstruction(folder, run, general, options.most),
        "",
        "Match and RMSE as Xie et al., arXiv:2110.06197, not gated by validity. Published for MP-20, on its test file "
        "and trained on its training file: " + "; ".join(published_reconstruction()) + ".",
        "",
    ]
    lines += energies(SHIPPED / "cgcnn.safetensors")  # which wide_properties.py trains
    if (run / "prior.safetensors").is_file():
        lines += of_the_prior(folder, run, general, dataset, options)
    lines += [
        f"- dataset `{dataset.content_hash()[:16]}`, seed {options.seed}; parts are split by composition",
        f"- {platform.machine()}, {json.dumps(versions())}",
    ]
    return "\n".join(lines) + "\n"


def published_reconstruction() -> list[str]:
    """Return the published rows in words."""
    rows = json.loads((HERE / "published.json").read_text())["mp20"]["reconstruction"]
    names = "match_rate_not_gated", "match_rmse_not_gated"
    return [
        f"{row['name']} {' % / '.join(str(row['figures'][name]) for name in names)} ({row['source']})" for row in rows
    ]


def energies(model: Path) -> list[str]:
    """Return the lines on the property model, from its card."""
    header = read_header(model, "cgcnn")
    card, test = header.card, header.card["test"]
    lines = [
        "## Properties",
        "",
        f"A CGCNN of {header.config['members']} members, {card['steps']} steps. Energies are of the crystals of the "
        "Materials Project alone (those of WBM have other references), which are within 0.08 eV/atom of the hull, so "
        "that what is far from stable is foreign to it; band gaps of both. On the test part:",
        "",
        "| property | mean absolute error | within one deviation, % | within two, % |",
        "|---|---|---|---|",
    ]
    for name in header.config["targets"]:
        within = " | ".join(f"{100 * test[f'within_{k}_sigma_{name}']:.0f}" for k in (1, 2))
        lines.append(f"| {name} | {test[f'mae_{name}']:.3f} {meaning_of(name, card).unit} | {within} |")
    return [*lines, ""]


def of_the_prior(folder: Path, run: Path, general: Path, dataset: Dataset, options: argparse.Namespace) -> list[str]:
    """Return the sections on what the prior makes."""
    prior = read_header(run / "prior.safetensors", "prior").card
    return [
        "## New crystals",
        "",
        f"The prior has seen each training crystal at most {passes(prior):.1f} times ({prior['steps']} steps, "
        f"{prior['seconds']:.0f} s of wall time on a machine that did other work as well, {prior['device']}), after "
        "what it had learned as that of `general`.",
        "",
        *new_crystals(folder, run, options),
        "",
        "## What is asked for, and what is made",
        "",
        *wishes(folder, run, general, dataset, options),
        "",
    ]


def passes(card: dict[str, Any]) -> float:
    """Return how often, on average and at most, a prior has seen a training crystal."""
    size = card["settings"]["optimiser"]["batch_size"]
    return float(card["steps"]) * float(size) / float(card["split"]["train"])


def kept(file: Path, compute: Any) -> Any:
    """Return what a file of figures holds, or compute it and write the file."""
    if not file.is_file():
        file.write_text(json.dumps(compute(), indent=1) + "\n")
    return json.loads(file.read_text())


def reconstruction(folder: Path, run: Path, general: Path, most: int) -> list[str]:
    """Return the rows of the table: these models and those of `general`, on crystals that neither has seen."""
    rows = [
        "| test part of | n | models | match, % | RMSE, (V/N)^(1/3) | sites with the right element, % |",
        "|---" * 6 + "|",
    ]
    known = set(read_header(general / "vae.safetensors", "vae").config["elements"])
    for name in SETS:
        data = read_dataset(folder / f"{name}.h5")
        test = data.crystals.take(data.part("test")[:most])
        both = test.take([i for i in range(len(test)) if set(test.sites(i)[1].tolist()) <= known])
        given = [("wide", run, test)]
        if name == "wide":
            given += [("wide, elements that `general` knows", run, both), ("general, the same", general, both)]
        for label, models, crystals in given:
            file = run / f"reconstruction_{name}_{label.split(',')[0]}_{len(crystals)}.json"
            found = kept(file, lambda: scores(crystals, models, True))  # noqa: B023 - called at once
            figures = f"{found['match']:.1f} | {found['rmse']:.4f} | {found['sites']:.1f}"
            rows.append(f"| {name} | {len(crystals)} | {label} | {figures} |")
    return rows


def new_crystals(folder: Path, run: Path, options: argparse.Namespace) -> list[str]:
    """Return the table of crystals of which nothing was asked, beside published rows."""
    found = kept(run / "new.json", lambda: score_new(folder, run, options.samples, options.seed))
    rows = [
        f"| | {' | '.join(f'{KINDS[n].label}, {KINDS[n].unit}' for n in FIGURES)} |",
        "|---" * (len(FIGURES) + 1) + "|",
    ]
    for label, prefix in (("wide", ""), ("its test part", "reference_"), ("its training part", "training_")):
        values = [found["scalars"].get(prefix + name) for name in FIGURES]
        cells = [
            "-"
            if value is None or not math.isfinite(value)
            else f"{100 * value:.1f}"
            if KINDS[n].unit == SHARE
            else f"{value:.3f}"
            for n, value in zip(FIGURES, values, strict=True)
        ]
        rows.append(f"| {label} | {' | '.join(cells)} |")
    for entry in json.loads((HERE / "published.json").read_text())["mp20"]["generation"]:
        cells = [str(entry["figures"].get(name, "-")) for name in FIGURES]
        rows.append(f"| {entry['name']} ({entry['source']}) | {' | '.join(cells)} |")
    total = options.samples
    return [
        *rows,
        "",
        f"{total} samples, guidance 1, nothing asked; cut-offs of MP-20, the reference is the test part of "
        "the wide crystals. **The published rows have MP-20's training and test files, and 10,000 samples**: "
        "they stand here for orientation. Compositions are drawn by analogy to training crystals and are valid by "
        "construction, where a crystal is made at all; the fields alone, read without knowing the composition, would "
        f"have given it for {100 * found['agreed']:.1f} % of the samples. Of the crystals made, "
        f"{100 * found['symmetric']:.1f} % have a space group other than P1 within 0.1 Å. "
        f"{1000 * found['seconds'] / total:.0f} ms of processor time a sample, one core.",
    ]


def score_new(folder: Path, run: Path, total: int, seed: int) -> dict[str, Any]:
    """Draw new crystals and score them."""
    work = run / "new"
    work.mkdir(exist_ok=True)
    start = time.process_time()
    made = generate(run, work, n_samples=total, seed=seed)
    seconds = time.process_time() - start
    agreed = read_share(work)
    with h5py.File(work / "new.h5", "w") as file:
        write_crystals(file.create_group("crystals"), made)
    chosen = {"crystals": "new.h5", "reference": str((folder / "wide.h5").resolve()), "cutoffs": "mp_20"}
    report = Report("evaluate", work, quiet=True)
    evaluate(EvaluateSettings.model_validate({**chosen, "samples": total, "seed": seed, "threads": 1}), report)
    symmetric = float((space_group_numbers(made) > 1).mean())
    return {"scalars": report.scalars, "agreed": agreed, "seconds": seconds, "symmetric": symmetric}


def read_share(work: Path) -> float:
    """Return the share of samples that the fields alone would have given the composition drawn."""
    with h5py.File(work / "fields.h5") as fields, h5py.File(work / "segments.h5") as segments:
        right = total = 0
        for name, group in fields.items():
            counts, numbers = segments[name]["count"][()], segments[name]["number"][()]
            start = 0
            for pairs, count in zip(group["contents"][()], counts, strict=True):
                wanted = sorted(z for z, n in pairs.tolist() for _ in range(n))
                right += wanted == sorted(numbers[start : start + count].tolist())
                total += 1
                start += count
    return right / max(1, total)


def wishes(folder: Path, run: Path, general: Path, dataset: Dataset, options: argparse.Namespace) -> list[str]:
    """Return the table of wishes."""
    found = kept(run / "wishes.json", lambda: ask(run, general, dataset, options.asked, options.seed))
    rows = [
        "| asked for | wide: as asked, % | by the fields alone, % | a crystal of that composition in the data, % "
        "| general: as asked, % | by the fields alone, % |",
        "|---" * 6 + "|",
    ]
    for words, values in found.items():
        cells = ["-" if value is None else f"{value:.0f}" for value in values]
        rows.append(f"| {words} | {' | '.join(cells)} |")
    return [
        *rows,
        "",
        f"{options.asked} samples of each, guidance 2. Where a composition is asked for it is kept by construction, "
        "in both sets; *by the fields alone* says how many would have it if each peak were read as its likeliest "
        "element. The fourth column: it is one of the crystals of the composition in the dataset, of any part "
        "(StructureMatcher, ltol 0.2, stol 0.3, angle_tol 5; volumes scaled). A wish that `general` cannot be asked "
        "for has a dash.",
    ]


def ask(run: Path, general: Path, dataset: Dataset, total: int, seed: int) -> dict[str, list[float | None]]:
    """Ask both sets of models and count."""
    found: dict[str, list[float | None]] = {}
    formulas = dataset.crystals.formulas()
    for asked in WISHES:
        row: list[float | None] = []
        for models in (run, general):
            work = run / "asked"
            work.mkdir(exist_ok=True)
            if models == general and "space_group" in asked:
                row += [None, None]
                continue
            made = generate(models, work, n_samples=total, seed=seed, guidance=2.0, **asked)
            alone = 100 * read_share(work) if "composition" in asked else None
            row += [share(made, asked, total), alone]
            if models == run:
                row.append(known_share(made, asked, dataset, formulas, total))
        words = ", ".join(
            f"{k.replace('_', ' ')} {' '.join(v) if isinstance(v, list) else v}" for k, v in asked.items()
        )
        found[words] = row
        print(words, row, flush=True)
    return found


def known_share(
    made: Crystals, asked: dict[str, Any], dataset: Dataset, formulas: list[str], total: int
) -> float | None:
    """Return how many samples are a crystal of the composition asked for in the dataset, in percent."""
    if "composition" not in asked:
        return None
    wanted = Composition(asked["composition"]).reduced_formula
    references = list(dataset.crystals.take([i for i, f in enumerate(formulas) if f == wanted]).structures())
    if not references:
        return None
    matcher = StructureMatcher(ltol=0.2, stol=0.3, angle_tol=5)
    return 100 * sum(any(matcher.fit(s, r) for r in references) for s in made.structures()) / total
