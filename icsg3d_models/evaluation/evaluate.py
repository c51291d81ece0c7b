"""The stage ``evaluate``: read, score, and write the figures beside those of the reference set."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

import numpy as np

from ..crystals.batch import Crystals
from ..networks.model_file import file_hash
from ..results import Report, StageError, write_json
from ..settings import EvaluateSettings
from ..workers import Progress, worker_count
from .figures import Evaluation
from .inputs import is_dataset, named_by_order, read_batch, read_flags, say_copies, some, without_broken
from .metrics import reconstruction
from .metrics import uniqueness_novelty as novelty
from .metrics.coverage import CUTOFFS
from .metrics.distributions import draw
from .metrics.published_validity import conditions
from .predictions import predicted_property
from .scoring import (
    Described,
    Means,
    Rows,
    Values,
    describe,
    score_conditions,
    score_generation,
    score_novelty,
    score_reconstruction,
)


def run(settings: EvaluateSettings, report: Report) -> None:
    """Evaluate and write evaluation.json, evaluation.md and evaluation.csv.

    :raises StageError: an input is missing, or the inputs do not fit together.
    """
    crystals = _read(settings.crystals, report)
    reference = _read(settings.reference, report, settings.part)
    if "part" in settings.model_fields_set and not is_dataset(report.directory / settings.reference):
        report.warn(
            f"{settings.reference} is a crystal file, which has no parts: all {len(reference)} are compared with"
        )
    say_copies(crystals, reference, settings.reference, report)
    if settings.mode == "reconstruction":
        crystals, reference = _paired(settings, report, crystals, reference)
    else:
        # a sample that cannot be used was asked for all the same
        settings = settings.model_copy(update={"samples": settings.samples or len(crystals)})
        crystals = without_broken(crystals, settings.crystals, report)
        reference = without_broken(reference, settings.reference, report)
    means = Means(
        worker_count(settings.threads),
        None if settings.cache is None else report.directory / settings.cache,
        settings.seed,
        CUTOFFS[settings.cutoffs] if isinstance(settings.cutoffs, str) else settings.cutoffs,
        settings.property_samples,
        settings.novelty_samples,
        lambda name: _progress(report, name),
    )
    score = _reconstruction if settings.mode == "reconstruction" else _generation
    evaluation, rows = score(settings, report, crystals, reference, means)
    report.scalars.update(evaluation.scalars())
    report.counts.update(crystals=len(crystals), reference=len(reference))
    evaluation.conditions |= conditions()
    evaluation.conditions |= _common(settings, report, len(reference), means)
    write_json(report.directory / settings.evaluation, evaluation.document())
    table = evaluation.markdown()
    (report.directory / settings.table).write_text(table, encoding="utf-8")
    _write_rows(report.directory / settings.details, rows)
    if not report.quiet:
        print(table)


def _common(settings: EvaluateSettings, report: Report, n_reference: int, means: Means) -> dict[str, Any]:
    """Return the conditions that both modes share."""
    part = f", part {settings.part}" if is_dataset(report.directory / settings.reference) else ""
    return {
        "reference": f"{settings.reference}{part}, {n_reference} crystals",
        "sha256": dict(report.inputs),
        "seed": settings.seed,
        "workers": means.workers,
        "seconds": round(report.elapsed, 1),
    }


def _paired(
    settings: EvaluateSettings, report: Report, crystals: Crystals, reference: Crystals
) -> tuple[Crystals, Crystals]:
    """Return predictions and true crystals under the same ids, without those that cannot be used.

    A prediction that cannot be used counts as missing; a true crystal that cannot be used does not count at all.

    :raises StageError: a prediction has no true crystal.
    """
    if settings.paired_by == "order":
        crystals = named_by_order(crystals, reference)
    strangers = sorted(set(crystals.ids) - set(reference.ids))
    if strangers:
        raise StageError(
            "input_incompatible",
            f"{settings.crystals}: {len(strangers)} ids are not in {settings.reference}, part "
            f"{settings.part}; first {strangers[0]!r}; give crystals with the ids of their true ones, or the numbered "
            "ones of `icsg3d sample` with `paired_by` order",
        )
    reference = without_broken(reference, settings.reference, report)
    known = set(reference.ids)
    crystals = crystals.take([index for index, name in enumerate(crystals.ids) if name in known])
    crystals = without_broken(crystals, settings.crystals, report)
    if missing := [name for name in reference.ids if name not in set(crystals.ids)]:
        report.warn(f"{len(missing)} of {len(reference)} true crystals have no prediction and count as failures: "
                    f"{some(missing)}")  # fmt: skip
    formulas = dict(zip(reference.ids, reference.formulas(), strict=True))
    pairs = zip(crystals.ids, crystals.formulas(), strict=True)
    if settings.paired_by == "order" and not any(formulas[name] == formula for name, formula in pairs):
        report.warn(f"not one of {len(crystals)} crystals has the composition of the true one of its number: is `part` "
                    f"{settings.part} of {settings.reference} what was reconstructed?")  # fmt: skip
    return crystals, reference


def _reconstruction(
    settings: EvaluateSettings, report: Report, crystals: Crystals, reference: Crystals, means: Means
) -> tuple[Evaluation, Rows]:
    gate = settings.fingerprint_gate
    values, rows = score_reconstruction(describe(crystals, means, "predictions", gate), reference, means)
    ceiling, _ = score_reconstruction(describe(reference, means, "reference", gate), reference, means)
    report.counts.update(
        matched=sum(row["rms"] is not None for row in rows), missing=sum(not row["rebuilt"] for row in rows)
    )
    matcher = f"stol {reconstruction.STOL}, angle_tol {reconstruction.ANGLE_TOL}, ltol {reconstruction.LTOL}"
    notes: dict[str, Any] = {
        "matcher": matcher,
        "paired by": settings.paired_by,
        "a crystal without a fingerprint": "not valid" if gate else "not tested",
    }
    if "notes" in report.tables:
        notes["noted"] = "; ".join(report.tables["notes"])
    return Evaluation(values, {"reference": ceiling}, notes), rows


def _generation(
    settings: EvaluateSettings, report: Report, crystals: Crystals, reference: Crystals, means: Means
) -> tuple[Evaluation, Rows]:
    asked = settings.samples or len(crystals)
    if asked < len(crystals) or asked == 0:
        raise StageError(
            "input_incompatible",
            f"{settings.crystals}: {len(crystals)} crystals from {asked} samples; correct `samples`",
        )
    training = _training(settings, report)
    stable = None
    if settings.stability is not None:
        stable = read_flags(report.directory / settings.stability, settings.stable_column, crystals.ids, report)
    truth = describe(reference, means, "reference")
    expected = predicted_property(truth, settings, report, "the reference") if settings.predictors else None

    def score(batch: Described, total: int, name: str) -> Values:
        found = None
        if expected is not None:
            found = (expected if batch is truth else predicted_property(batch, settings, report, name), expected)
        figures = score_generation(batch, truth, means, total, found, settings.target)
        return figures | score_conditions(batch.crystals, total, settings.asked)[0] if settings.asked else figures

    batch = describe(crystals, means, "samples")
    values, ceilings = score(batch, asked, "the samples"), {"reference": score(truth, len(reference), "the reference")}
    novel, rows = score_novelty(batch, training, means, asked, stable)
    values |= novel
    if settings.asked:
        for row, fulfilled in zip(rows, score_conditions(crystals, asked, settings.asked)[1], strict=True):
            row["as_asked"] = bool(fulfilled)
    if training is not None:
        ceilings["reference"] |= score_novelty(truth, training, means, len(reference))[0]
        chosen = draw(np.ones(len(training), dtype=bool), max(asked, len(reference)), settings.seed)
        some = describe(training.take(chosen), means, "training")
        ceilings["training"] = score(some, len(chosen), "the training data")
    if settings.unconditioned is not None:
        free = _read(settings.unconditioned, report)
        name = "samples of which nothing was asked"
        usable = describe(without_broken(free, settings.unconditioned, report), means, name)
        ceilings["unconditioned"] = score(usable, len(free), name)
    for name in (*settings.predictors, *filter(None, [settings.stability])):
        report.inputs[name] = file_hash(report.directory / name)
    n_valid = int(batch.valid.sum())
    report.counts.update(asked=asked, valid=n_valid)
    notes: dict[str, Any] = {
        "samples": f"{asked} asked for, {len(crystals)} rebuilt, {n_valid} valid",
        "cut-offs of structure and composition": f"{means.cutoffs[0]}, {means.cutoffs[1]}",
        "densities and numbers of elements": f"{min(n_valid, means.property_samples)} valid samples",
        "uniqueness and novelty": f"{min(asked, means.novelty_samples)} samples, matcher ltol "
        f"{novelty.LTOL}, stol {novelty.STOL}, angle_tol {novelty.ANGLE_TOL}",
    }
    if "notes" in report.tables:
        notes["noted"] = "; ".join(report.tables["notes"])
    if settings.asked:
        notes["asked for"] = ", ".join(f"{name} {value}" for name, value in settings.asked.items())
    if settings.predictors:
        notes["property"] = (
            f"{settings.predicted_property} by {', '.join(settings.predictors)}, target {settings.target}"
        )
    return Evaluation(values, ceilings, notes), rows


def _training(settings: EvaluateSettings, report: Report) -> Crystals | None:
    """Return the crystals that novelty is judged against: given, or the training part of the reference."""
    path = settings.training
    if path is None:
        if not is_dataset(report.directory / settings.reference) or settings.part in ("train", "all"):
            report.warn("novelty is not judged: nothing is known but what is compared with; `training` names a file")
            return None
        path = settings.reference
    return without_broken(_read(path, report, "train"), path, report)


def _read(name: str, report: Report, part: str = "all") -> Crystals:
    """Return the crystals of a file of the settings and note the file's hash."""
    crystals = read_batch(report.directory / name, part)
    report.inputs[name] = file_hash(report.directory / name)
    return crystals


def _progress(report: Report, name: str) -> Progress:
    """Return a function that reports at most once a second, and the end."""
    last = 0.0

    def show(done: int, total: int) -> None:
        nonlocal last
        if done == total or time.monotonic() - last > 1:
            last = time.monotonic()
            report.progress(done, total, step=name)

    return show


def _write_rows(path: Path, rows: Rows) -> None:
    """Write the details, one row a crystal; an empty cell is what was not judged."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, names or ["id"])
        writer.writeheader()
        writer.writerows(rows)
