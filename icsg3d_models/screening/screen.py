"""Stage ``screen``: tests, predictions and ranking of a file of crystals."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..comparison.matching import ANGLE_TOL, LTOL, STOL
from ..crystals.batch import Crystals
from ..crystals.cells import cell_parameters
from ..crystals.crystal_file import read_crystal_file
from ..crystals.symmetry import space_group_of
from ..crystals.validity import composition_test
from ..devices import select_device
from ..networks.model_file import PREDICTORS, file_hash, read_header
from ..properties.predict import Prediction, predict_all
from ..results import Report, StageError
from ..settings import ScreenSettings
from ..workers import Workers, worker_count
from .criteria import CRITERIA
from .criterion import Batch, Finding
from .ranking import first_failed, funnel_masks, order, required
from .sources import read_sources
from .table import PREDICTED, UNCERTAINTY, header, write_table


def run(settings: ScreenSettings, report: Report) -> None:
    """Screen the crystals, write the table and record the funnel and the selection.

    :raises StageError: an input does not fit, or ``nothing_valid`` where no crystal passes (the table is written).
    """
    device = select_device(settings, report)
    folder = report.directory
    crystals = read_crystal_file(folder / settings.crystals)
    report.inputs["crystals"] = file_hash(folder / settings.crystals)
    predictors = [folder / path for path in settings.predictors]
    check_predictors(settings.rank_by, predictors, report)
    total = len(crystals)
    with Workers(worker_count(settings.threads)) as workers:
        batch = Batch(
            crystals, formulas_of(crystals), settings, read_sources(settings, report, predictors),
            lambda done, step: report.progress(done, total, step=step), workers,
        )  # fmt: skip
        check_sources(batch)
        findings = judge(batch)
        report.progress(0, total, step="space groups")
        items = [(crystals.cell[index], *crystals.sites(index)) for index in batch.sound]
        groups = batch.spread(workers.map(space_group_of, items, chunk=64, least=1000), ("", 0))
    report.progress(total, total, step="prediction")
    prediction = spread_out(predict_all(batch.valid, predictors, str(device)), batch)
    masks = funnel_masks(findings, total, settings.require)
    passing = list(masks.values())[-1]
    values = prediction.values.get(settings.rank_by) if settings.rank_by is not None else None
    selected = order(passing, values, settings.descending)[: settings.top]
    rows = table_rows(batch, findings, prediction, groups, selected)
    write_table(folder / settings.table, header(prediction.values), rows)
    funnel = {name: int(mask.sum()) for name, mask in masks.items()} | {"selected": len(selected)}
    record(report, batch, findings, funnel)
    report.tables["selected"] = [crystals.ids[i] for i in selected]
    unpredicted = [] if values is None else np.flatnonzero(passing & ~np.isfinite(values)).tolist()
    if unpredicted:
        reason = Counter(str(prediction.reasons[i]) for i in unpredicted).most_common(1)[0][0]
        report.tables["unpredicted"] = f"{len(unpredicted)} passed without a prediction to rank by ({reason})"
    conclude(settings, report, funnel)


def conclude(settings: ScreenSettings, report: Report, funnel: dict[str, int]) -> None:
    """Say where fewer were selected than were asked for.

    :raises StageError: none was.
    """
    words = ", ".join(f"{count} {name}" for name, count in funnel.items())
    if "unpredicted" in report.tables:
        words += f"; {report.tables['unpredicted']}"
    if funnel["selected"] == 0:
        raise StageError(
            "nothing_valid", f"no candidate passed the screening: {words}; {settings.table} names the reasons"
        )
    if funnel["selected"] < settings.top:
        note = f"{settings.top} candidates asked for, {funnel['selected']} selected: no more passed ({words})"
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


def check_sources(batch: Batch) -> None:
    """Refuse to require what cannot be judged.

    :raises StageError: a criterion lacks what it compares with.
    """
    for criterion in CRITERIA:
        lacking = criterion.lacking(batch)
        if criterion.name in batch.settings.require and lacking is not None:
            raise StageError("settings_rejected", f"`require` names `{criterion.name}`, but {lacking}")


def judge(batch: Batch) -> dict[str, Finding]:
    """Return what every criterion finds, required or not, as far as it can be judged."""
    findings = {}
    for criterion in CRITERIA:
        if criterion.lacking(batch) is None:
            batch.progress(0, criterion.name)
            findings[criterion.name] = criterion.judge(batch)
    return findings


def record(report: Report, batch: Batch, findings: dict[str, Finding], funnel: dict[str, int]) -> None:
    """Put funnel, shares and what was tested how into the report."""
    columns = {column.name: column for criterion in CRITERIA for column in criterion.columns}
    for name, finding in findings.items():
        truths = {key: cells for key, cells in finding.cells.items() if columns[key].kind == "truth"}
        for key, cells in (truths or {name: finding.passed.tolist()}).items():
            report.scalars[key] = float(np.mean([bool(cell) for cell in cells]))
    if "novel" in findings:
        report.counts["novel_composition"] = sum(map(bool, findings["novel"].cells["novel_composition"]))
    report.counts.update(funnel)
    report.tables.update(
        funnel=funnel,
        set_aside=first_failed(findings, batch.settings.require),
        composition_test=composition_test(),
        matcher={"ltol": LTOL, "stol": STOL, "angle_tol": ANGLE_TOL},
    )


def table_rows(
    batch: Batch,
    findings: dict[str, Finding],
    prediction: Prediction,
    groups: list[tuple[str, int]],
    selected: np.ndarray,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table, in the order of the crystals."""
    crystals, settings = batch.crystals, batch.settings
    rank = {int(index): position + 1 for position, index in enumerate(selected)}
    needed = {criterion.name for criterion in required(settings.require)}
    lengths, angles = cell_parameters(crystals.cell)
    with np.errstate(invalid="ignore"):
        volumes = crystals.volumes
    for index, problem in enumerate(batch.problems):
        symbol, number = groups[index]
        against = [(name in needed, finding.reasons[index]) for name, finding in findings.items()]
        if problem is None:  # of a broken structure it is clear that nothing is predicted
            against.append((settings.rank_by is not None, prediction.reasons[index]))
        row: dict[str, Any] = {
            "rank": rank.get(index),
            "id": crystals.ids[index],
            "formula": batch.formulas[index],
            "n_sites": int(crystals.counts[index]),
            "spacegroup_symbol": symbol,
            "spacegroup_number": number or None,
            **dict(zip(("a", "b", "c"), lengths[index].tolist(), strict=True)),
            **dict(zip(("alpha", "beta", "gamma"), angles[index].tolist(), strict=True)),
            "volume": float(volumes[index]),
            "selected": index in rank,
            "reason": "; ".join(words for out, words in against if words and out),
            "note": "; ".join(words for out, words in against if words and not out),
        }
        for name in prediction.values:
            row[PREDICTED + name] = float(prediction.values[name][index])
            row[UNCERTAINTY + name] = float(prediction.uncertainty[name][index])
        for finding in findings.values():
            row.update({name: cells[index] for name, cells in finding.cells.items()})
        yield row


def formulas_of(crystals: Crystals) -> list[str]:
    """Return reduced formulas, empty for a crystal without sites or with one that is no element."""
    named = [i for i, n in enumerate(crystals.counts) if n and crystals.sites(i)[1].min() > 0]
    found = dict(zip(named, crystals.take(named).formulas(), strict=True))
    return [str(found.get(index, "")) for index in range(len(crystals))]


def spread_out(prediction: Prediction, batch: Batch) -> Prediction:
    """Return predictions for all crystals from those of the valid ones; NaN for the others."""

    def place(column: np.ndarray) -> np.ndarray:
        whole = np.full(len(batch), np.nan)
        whole[batch.sound] = column
        return whole

    return Prediction(
        {name: place(column) for name, column in prediction.values.items()},
        {name: place(column) for name, column in prediction.uncertainty.items()},
        batch.spread(prediction.reasons, "structure not valid"),
    )
