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
from .datasets import PARTS, Dataset, read_dataset, split_by_group
from .gather import gather, unique_names
from .readers import Request, read_records
from .readers.files import is_crystal_file


def run(settings: PrepareSettings, report: Report) -> None:
    """Build the dataset file of ``settings`` and record what was used and what was not."""
    if isinstance(settings.source, list):
        join(settings, settings.source, report)
        return
    wanted = dict(settings.properties)
    unknown = sorted(set(settings.required) - set(wanted))
    if unknown:
        raise StageError(
            "settings_rejected",
            f"required names {', '.join(unknown)}, which `properties` does not define; "
            f"it defines {', '.join(wanted) or 'none'}",
        )
    if foreign := sorted(set(settings.units) - set(wanted)):
        raise StageError(
            "settings_rejected",
            f"a unit for {', '.join(foreign)}, which `properties` does not define; "
            f"it defines {', '.join(wanted) or 'none'}",
        )
    source = str(report.directory / settings.source)
    found = read_records(source, request_of(settings))
    report.inputs["source"] = source_hash(source)
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
    empty = [name for name in wanted if all(math.isnan(v[name]) for v in gathered.values)]
    if empty:
        raise StageError(
            "input_incompatible",
            f"{settings.source}: not one of the {len(gathered.values)} crystals has a value of {', '.join(empty)}; "
            "mend the source, or leave it out of `properties`",
        )
    write_dataset(settings, report, gathered.crystals, gathered.values)


def request_of(settings: PrepareSettings) -> Request:
    """Return what the settings ask of the source."""
    return Request(
        dict(settings.properties),
        settings.cif_column,
        settings.id_column,
        settings.id_column != PrepareSettings.model_fields["id_column"].default,
    )


def write_dataset(
    settings: PrepareSettings, report: Report, crystals: Crystals, values: list[dict[str, float]]
) -> None:
    """Split, write and record the dataset."""
    shares = (settings.split.train, settings.split.validation, settings.split.test)
    formulas = crystals.formulas()
    groups = formulas if settings.split.by == "composition" else list(crystals.ids)
    dataset = Dataset(
        crystals,
        {name: np.array([v.get(name, math.nan) for v in values]) for name in settings.properties},
        split_by_group(groups, shares, settings.seed),
        dict(settings.units),
        settings.name,
        settings.citation,
    )
    finish(dataset, settings, report)


def join(settings: PrepareSettings, sources: list[str], report: Report) -> None:
    """Write the crystals of several dataset files as one dataset; each keeps its part.

    :raises icsg3d_models.crystals.batch.CrystalError: one of them is no dataset file.
    """
    parts = [read_dataset(report.directory / source) for source in sources]
    for source, part in zip(sources, parts, strict=True):
        report.inputs[source] = part.content_hash()
    units: dict[str, str] = {}
    for source, part in zip(sources, parts, strict=True):
        for name, unit in part.units.items():
            if units.setdefault(name, unit) != unit:
                raise StageError(
                    "input_incompatible", f"{source}: {name} is in {unit!r}, in the files before it in {units[name]!r}"
                )
    names = sorted({name for part in parts for name in part.properties})
    crystals = [part.crystals for part in parts]
    sites = [batch.sites(i) for batch in crystals for i in range(len(batch))]
    dataset = Dataset(
        Crystals.from_arrays(
            [cell for batch in crystals for cell in batch.cell],
            [frac for frac, _ in sites],
            [numbers for _, numbers in sites],
            unique_names([name for batch in crystals for name in batch.ids]),
        ),
        {n: np.concatenate([p.properties.get(n, np.full(len(p.crystals), math.nan)) for p in parts]) for n in names},
        np.concatenate([part.split for part in parts]),
        units,
        settings.name,
        settings.citation or "; ".join(dict.fromkeys(part.citation for part in parts if part.citation)),
    )
    report.counts.update(read=len(sites), used=len(sites), rejected=0)
    formulas = np.array(dataset.crystals.formulas())
    trained = set(formulas[dataset.split == 0])
    # Each file was split on its own, so what one holds back another may train on.
    report.counts["test_compositions_in_train"] = len(trained & set(formulas[dataset.split == 2]))
    finish(dataset, settings, report)


def finish(dataset: Dataset, settings: PrepareSettings, report: Report) -> None:
    """Write the dataset file and what the report says of it."""
    crystals = dataset.crystals
    report.tables["dataset"] = {
        "content_hash": dataset.write(report.directory / settings.dataset),
        "elements": np.unique(crystals.numbers).tolist(),
        "sites": [int(crystals.counts.min()), int(crystals.counts.max())],
        "properties": {n: int(np.isfinite(v).sum()) for n, v in dataset.properties.items()},
    }
    report.counts.update({part: int((dataset.split == i).sum()) for i, part in enumerate(PARTS)})
    report.counts["compositions"] = len(set(crystals.formulas()))
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
