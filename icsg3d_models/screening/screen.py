"""Stage ``screen``: tests, predictions and ranking of a file of crystals."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import numpy as np

from ..comparison.descriptors import describe
from ..comparison.matching import ANGLE_TOL, LTOL, STOL, Matcher
from ..conditions import BY_NAME, unfulfilled
from ..crystals.batch import Crystals
from ..crystals.crystal_file import read_crystal_file
from ..crystals.validity import composition_test, composition_valid, structure_problems
from ..devices import select_device
from ..networks.model_file import PREDICTORS, file_hash, read_header
from ..properties.predict import Prediction, predict_all
from ..results import Report, StageError
from ..settings import ScreenSettings
from .candidates import Candidates
from .novelty import Reference, find_reference, judge_novelty, read_reference
from .ranking import funnel_masks, order, write_table
from .uniqueness import find_duplicates


def run(settings: ScreenSettings, report: Report) -> None:
    """Screen the crystals, write the table and record the funnel and the selection.

    :raises StageError: an input does not fit, or ``nothing_valid`` where no crystal passes (the table is written).
    """
    device = select_device(settings, report)
    folder = report.directory
    crystals = read_crystal_file(folder / settings.crystals)
    report.inputs["crystals"] = file_hash(folder / settings.crystals)
    predictors = [folder / path for path in settings.predictors]
    given = None if settings.reference is None else folder / settings.reference
    known = find_reference(given, predictors)
    if known is None and "novel" in settings.require:
        raise StageError(
            "settings_rejected",
            "`require` names `novel`, but there is nothing to compare with; give `reference` a fingerprint "
            "(fingerprint.h5, written beside a property model) or a dataset file, or take `novel` out of `require`",
        )
    reference = None if known is None else read_reference(known)
    if known is not None and reference is not None:
        report.inputs["reference"] = file_hash(known)
        report.tables["reference"] = reference.name
    check_predictors(settings.rank_by, predictors, report)
    candidates = examine(settings, report, crystals, predictors, reference, str(device))
    masks = funnel_masks(candidates, list(settings.require))
    values = candidates.prediction.values.get(settings.rank_by) if settings.rank_by is not None else None
    ranked = order(masks["novel"], values, settings.descending)
    selected = ranked[: settings.top]
    write_table(folder / settings.table, crystals, candidates, selected)
    funnel = {name: int(mask.sum()) for name, mask in masks.items()} | {"selected": len(selected)}
    if reference is None:
        del funnel["novel"]  # not judged, which is not the same as passed
    report.counts.update(funnel)
    report.tables.update(
        funnel=funnel,
        selected=[crystals.ids[i] for i in selected],
        composition_test=composition_test(),
        matcher={"ltol": LTOL, "stol": STOL, "angle_tol": ANGLE_TOL},
    )
    words = ", ".join(f"{count} {name}" for name, count in funnel.items())
    unpredicted = [] if values is None else np.flatnonzero(masks["novel"] & ~np.isfinite(values)).tolist()
    if unpredicted:
        reason = Counter(str(candidates.prediction.reasons[i]) for i in unpredicted).most_common(1)[0][0]
        report.tables["unpredicted"] = f"{len(unpredicted)} passed without a prediction to rank by ({reason})"
        words += f"; {report.tables['unpredicted']}"
    if len(selected) == 0:
        raise StageError(
            "nothing_valid", f"no candidate passed the screening: {words}; {settings.table} names the reasons"
        )
    if len(selected) < settings.top:
        note = f"{settings.top} candidates asked for, {len(selected)} selected: no more passed ({words})"
        report.tables.setdefault("notes", []).append(note)
        print(f"note: {note}", file=sys.stderr)


def check_predictors(rank_by: str | None, predictors: list[Path], report: Report) -> None:
    """Refuse settings that rank by what no predictor predicts; record the models.

    :raises StageError: `rank_by` is not predicted.
    """
    targets: list[str] = []
    for path in predictors:
        targets += read_header(path, PREDICTORS).config["targets"]
        report.inputs[f"predictor:{path.name}"] = file_hash(path)
    if predictors and rank_by is not None and rank_by not in targets:
        raise StageError(
            "settings_rejected",
            f"`rank_by` is {rank_by!r}; the predictors predict {', '.join(sorted(set(targets)))}",
        )


def examine(
    settings: ScreenSettings,
    report: Report,
    crystals: Crystals,
    predictors: list[Path],
    reference: Reference | None,
    device: str,
) -> Candidates:
    """Apply every test and every model to all crystals."""
    total = len(crystals)
    reasons = structure_problems(crystals)
    valid = np.array([reason is None for reason in reasons])
    report.progress(0, total, step="validity")
    formulas = formulas_of(crystals)
    composed = np.array([bool(formula) and composition_valid(formula) for formula in formulas])
    asked = {name: getattr(settings, name) for name in BY_NAME if getattr(settings, name, None) is not None}
    missed = unfulfilled(crystals, asked)
    allowed = np.array([miss is None for miss in missed])
    # what has no valid structure is not compared, described or predicted
    sound = np.flatnonzero(valid)
    part = crystals.take(sound)
    names = [formulas[i] for i in sound]
    matcher = Matcher(part, describe(part))
    same = find_duplicates(matcher, names, lambda done: report.progress(done, total, step="uniqueness"))
    duplicate_of: list[int | None] = [None] * total
    for index, other in zip(sound, same, strict=True):
        duplicate_of[index] = None if other is None else int(sound[other])
    novel = new_composition = None
    if reference is not None:
        found = judge_novelty(matcher, names, reference, lambda done: report.progress(done, total, step="novelty"))
        novel, new_composition = np.zeros(total, dtype=bool), np.zeros(total, dtype=bool)
        novel[sound], new_composition[sound] = found.crystal, found.composition
        report.counts["novel_composition"] = int(new_composition.sum())
    report.progress(total, total, step="prediction")
    prediction = spread_out(predict_all(part, predictors, device), sound, total)
    unique = valid & np.array([other is None for other in duplicate_of])
    candidates = Candidates(
        formulas, allowed, valid, composed, unique, duplicate_of, novel, new_composition, prediction,
        explain(crystals, reasons, missed, composed, duplicate_of, novel, prediction),
    )  # fmt: skip
    report.scalars.update(
        structure_valid=float(valid.mean()),
        composition_valid=float(composed.mean()),
        unique=float(unique.mean()),
        **({"novel": float(novel.mean())} if novel is not None else {}),
    )
    return candidates


def formulas_of(crystals: Crystals) -> list[str]:
    """Return reduced formulas, empty for a crystal without sites or with one that is no element."""
    named = [i for i, n in enumerate(crystals.counts) if n and crystals.sites(i)[1].min() > 0]
    found = dict(zip(named, crystals.take(named).formulas(), strict=True))
    return [str(found.get(index, "")) for index in range(len(crystals))]


def explain(
    crystals: Crystals,
    structure: list[str | None],
    missed: list[str | None],
    composed: np.ndarray,
    duplicate_of: list[int | None],
    novel: np.ndarray | None,
    prediction: Prediction,
) -> list[str | None]:
    """Return for every crystal all that speaks against it, None where nothing does."""
    result: list[str | None] = []
    for index, problem in enumerate(structure):
        words = [problem] if problem else []
        miss = missed[index]
        if miss is not None:
            words.append(miss)
        if not composed[index]:
            words.append("composition not neutral, or electronegativities out of order (SMACT)")
        other = duplicate_of[index]
        if other is not None:
            words.append(f"the same as {crystals.ids[other]}")
        if novel is not None and not novel[index] and problem is None:
            words.append("known: the reference holds it")
        reason = prediction.reasons[index]
        if reason is not None and problem is None:
            words.append(reason)
        result.append("; ".join(words) or None)
    return result


def spread_out(prediction: Prediction, indices: np.ndarray, total: int) -> Prediction:
    """Return predictions for all crystals from those of some; NaN for the others."""

    def place(column: np.ndarray) -> np.ndarray:
        whole = np.full(total, np.nan)
        whole[indices] = column
        return whole

    reasons: list[str | None] = ["structure not valid"] * total
    for index, reason in zip(indices, prediction.reasons, strict=True):
        reasons[index] = reason
    return Prediction(
        {name: place(column) for name, column in prediction.values.items()},
        {name: place(column) for name, column in prediction.uncertainty.items()},
        reasons,
    )
