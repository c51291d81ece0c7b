"""Stage ``prepare``: a source of crystals becomes a dataset file; what is left out is named with the reason."""

from __future__ import annotations

import hashlib
import math
import sys
from pathlib import Path

import numpy as np

from ..crystals.batch import Crystals
from ..results import Report, StageError
from ..settings import PrepareSettings
from .datasets import PARTS, Dataset, split_by_group
from .gather import gather
from .join import joined
from .outlook import outlook
from .readers import Found, Request, read_records
from .readers.files import is_crystal_file
from .readers.optimade import is_provider
from .summary import in_words, summarise

PAGES_FILE = "optimade_pages.jsonl"


def run(settings: PrepareSettings, report: Report) -> None:
    """Build the dataset file of ``settings`` and record what was used and what was not."""
    if isinstance(settings.source, list):
        dataset = joined(settings, settings.source, report)
        finish(dataset, dataset.crystals.formulas(), settings, report)
        return
    check_names(settings)
    is_url = is_provider(settings.source)
    source = settings.source if is_url else str(report.directory / settings.source)
    pages = report.directory / PAGES_FILE
    found = read_records(source, request_of(settings), pages if is_url else None)
    report.inputs["source"] = found.digest or source_hash(source)
    build(found, settings, report)
    pages.unlink(missing_ok=True)


def check_names(settings: PrepareSettings) -> None:
    """Refuse settings that speak of properties which are not asked for.

    :raises StageError: with those that are.
    """
    for said, names in (("required names", settings.required), ("a unit for", settings.units)):
        if unknown := sorted(set(names) - set(settings.properties)):
            raise StageError(
                "settings_rejected",
                f"{said} {', '.join(unknown)}, which `properties` does not define; "
                f"it defines {', '.join(settings.properties) or 'none'}",
            )


def build(found: Found, settings: PrepareSettings, report: Report) -> None:
    """Write the dataset of the records of a source, and say what was used and what was not.

    :raises StageError: no crystal can be used, or a property has no value at all.
    """
    units = {**found.units, **settings.units}
    found.notes += [
        f"unit of {name}: the source says {found.units[name]}, the settings {unit}, which is kept"
        for name, unit in settings.units.items()
        if found.units.get(name, unit) != unit
    ]
    gathered = gather(
        found.records,
        settings.required,
        settings.threads,
        lambda done, total, used, left: report.progress(done, total, used=float(used), rejected=float(left)),
    )
    rejected = gathered.rejected
    report.counts.update(read=gathered.read, used=len(gathered.crystals), rejected=len(rejected))
    report.tables["rejected"] = rejected
    report.tables["notes"] = notes = [*found.notes, *gathered.notes]
    report.tables["assumed"] = {note: len(names) for note, names in gathered.assumed.items()}
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    shown = "; ".join(f"{r['id']}: {r['reason']}" for r in rejected[:3])
    if rejected:
        print(f"warning: {len(rejected)} of {gathered.read} crystals left out, named in results.json: {shown}"
              + ("; ..." if len(rejected) > 3 else ""), file=sys.stderr)  # fmt: skip
    if len(gathered.crystals) == 0:
        raise StageError(
            "input_unreadable", f"{settings.source}: not one of {gathered.read} crystals can be used. {shown}"
        )
    empty = [name for name in settings.properties if all(math.isnan(v[name]) for v in gathered.values)]
    if empty:
        raise StageError(
            "input_incompatible",
            f"{settings.source}: not one of the {len(gathered.values)} crystals has a value of {', '.join(empty)}; "
            "mend the source, or leave it out of `properties`",
        )
    write_dataset(settings, report, gathered.crystals, gathered.values, units)


def request_of(settings: PrepareSettings) -> Request:
    """Return what the settings ask of the source."""
    return Request(
        dict(settings.properties),
        settings.cif_column,
        settings.id_column,
        settings.id_column != PrepareSettings.model_fields["id_column"].default,
        settings.filter,
        settings.limit,
    )


def write_dataset(
    settings: PrepareSettings,
    report: Report,
    crystals: Crystals,
    values: list[dict[str, float]],
    units: dict[str, str],
) -> None:
    """Split, write and record the dataset."""
    shares = (settings.split.train, settings.split.validation, settings.split.test)
    formulas = crystals.formulas()
    groups = formulas if settings.split.by == "composition" else list(crystals.ids)
    dataset = Dataset(
        crystals,
        {name: np.array([v.get(name, math.nan) for v in values]) for name in settings.properties},
        split_by_group(groups, shares, settings.seed),
        units,
        settings.name,
        settings.citation,
    )
    finish(dataset, formulas, settings, report)


def finish(dataset: Dataset, formulas: list[str], settings: PrepareSettings, report: Report) -> None:
    """Write the dataset file and what the report says of it."""
    crystals = dataset.crystals
    report.tables["dataset"] = {
        "content_hash": dataset.write(report.directory / settings.dataset),
        "elements": np.unique(crystals.numbers).tolist(),
        "sites": [int(crystals.counts.min()), int(crystals.counts.max())],
        "properties": {n: int(np.isfinite(v).sum()) for n, v in dataset.properties.items()},
    }
    report.counts.update({part: int((dataset.split == i).sum()) for i, part in enumerate(PARTS)})
    report.counts["compositions"] = len(set(formulas))
    summary = summarise(crystals, formulas, dataset.properties, dataset.units, report.tables.get("rejected", []))
    summary["outlook"] = outlook(dataset)
    summary["assumed"] = report.tables.pop("assumed", {})
    report.tables["summary"] = summary
    print(in_words(report.counts, summary))
    for name, column in dataset.properties.items():
        known = column[np.isfinite(column)]
        if len(known):
            report.scalars.update({f"{name}_mean": float(known.mean()), f"{name}_std": float(known.std())})


def source_hash(source: str) -> str:
    """Return the SHA-256 of the source file, or of the names and contents of the files of a folder."""
    path = Path(source)
    if path.is_file():
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        if file.suffix.lower() not in (".csv", ".tsv") and not is_crystal_file(file.name):
            continue
        digest.update(f"{file.relative_to(path)}\0{file.stat().st_size}\0".encode() + file.read_bytes())
    return digest.hexdigest()
