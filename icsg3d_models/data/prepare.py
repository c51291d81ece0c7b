"""Stage ``prepare``: a source of crystals becomes a dataset file; what is left out is named with the reason."""

from __future__ import annotations

import hashlib
import math
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from ..crystals.batch import CrystalError, Crystals
from ..crystals.neighbours import closest_distances
from ..results import Report, StageError
from ..settings import PrepareSettings
from .cif import Crystal, parse_plain
from .datasets import PARTS, Dataset, read_dataset, split_by_group
from .readers import CifText, Record, read_records

CLOSEST = 0.3  # Å; two nuclei closer than this are a mistake of the file, not a crystal
_POOL_FROM = 500  # crystals that need the slow parser; below, starting processes costs more than it saves
_STEP = 200


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
    source = str(report.directory / settings.source)
    records = read_records(source, wanted, settings.cif_column, settings.id_column)
    report.inputs["source"] = source_hash(source)
    names: list[str] = []
    crystals: list[Crystal] = []
    values: list[dict[str, float]] = []
    rejected: list[dict[str, str]] = []
    for done, (record, outcome) in enumerate(zip(records, parse_all(records, settings.threads), strict=True), 1):
        try:
            if isinstance(outcome, str):
                raise CrystalError(outcome)
            numbers = property_values(record, settings.required)
            for index, crystal in enumerate(outcome):
                check_crystal(crystal)
                names.append(record.id if len(outcome) == 1 else f"{record.id}-{index + 1}")
                crystals.append(crystal)
                values.append(numbers)
        except CrystalError as exception:
            rejected.append({"id": record.id, "reason": str(exception)})
        if done % _STEP == 0 or done == len(records):
            report.progress(done, len(records), used=float(len(crystals)), rejected=float(len(rejected)))
    batch = Crystals.from_arrays(
        [c.cell for c in crystals], [c.frac for c in crystals], [c.numbers for c in crystals], unique_names(names)
    )
    keep = separated(batch, rejected)
    report.counts.update(read=len(records), used=len(keep), rejected=len(rejected))
    report.tables["rejected"] = rejected
    if rejected:
        shown = "; ".join(f"{r['id']}: {r['reason']}" for r in rejected[:3])
        print(f"warning: {len(rejected)} of {len(records)} crystals left out, named in results.json: {shown}"
              + ("; ..." if len(rejected) > 3 else ""), file=sys.stderr)  # fmt: skip
    if len(keep) == 0:
        shown = "; ".join(f"{r['id']}: {r['reason']}" for r in rejected[:3])
        raise StageError(
            "input_unreadable", f"{settings.source}: not one of {len(records)} crystals can be used. {shown}"
        )
    write_dataset(settings, report, batch.take(keep), [values[i] for i in keep])


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


def parse_all(records: list[Record], processes: int | None) -> Iterator[list[Crystal] | str]:
    """Yield the crystals of each record, or the reason why there are none, in the order of the records."""
    processes = processes or len(os.sched_getaffinity(0))
    slow = []
    if processes > 1 and len(records) >= _POOL_FROM:
        slow = [i for i, r in enumerate(records) if isinstance(r.read, CifText) and plain_or_none(r.read.text) is None]
    if len(slow) < _POOL_FROM:
        yield from map(outcome_of, (r.read for r in records))
        return
    # spawned, not forked: a forked child may inherit a lock that another library's thread held
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        parsed = pool.map(outcome_of, (records[i].read for i in slow), chunksize=32)
        is_slow = set(slow)
        for index, record in enumerate(records):
            yield next(parsed) if index in is_slow else outcome_of(record.read)


def plain_or_none(text: str) -> Crystal | None:
    """Return what the fast parser makes of a CIF, None also where it finds a mistake."""
    try:
        return parse_plain(text)
    except CrystalError:
        return None


def outcome_of(read: Any) -> list[Crystal] | str:
    """Return the crystals that ``read`` finds, or the reason of its CrystalError."""
    try:
        return read()
    except CrystalError as exception:
        return str(exception)


def property_values(record: Record, required: list[str]) -> dict[str, float]:
    """Return the properties of a record as numbers, NaN where missing.

    :raises CrystalError: a value is no number, infinite, or a required one is missing.
    """
    numbers = {}
    for name, value in record.values.items():
        text = "" if value is None else str(value).strip()
        try:
            numbers[name] = float(text) if text.lower() not in ("", "none", "null", "na", "n/a") else math.nan
        except ValueError:
            raise CrystalError(f"property {name} is {text[:40]!r}, which is no number") from None
        if math.isinf(numbers[name]):
            raise CrystalError(f"property {name} is infinite")
    missing = [name for name in required if math.isnan(numbers.get(name, math.nan))]
    if missing:
        raise CrystalError(f"no value (missing or NaN) for the required {', '.join(missing)}")
    return numbers


def check_crystal(crystal: Crystal) -> None:
    """Refuse a crystal without sites, with values that are not finite, or with a singular cell.

    :raises CrystalError: with the reason.
    """
    if len(crystal.numbers) == 0:
        raise CrystalError("no sites; a crystal needs at least one atom")
    if not np.isfinite(crystal.cell).all() or not np.isfinite(crystal.frac).all():
        raise CrystalError("the cell or the coordinates hold NaN or infinity")
    volume = abs(np.linalg.det(crystal.cell))
    if volume < 1e-3:
        raise CrystalError(f"singular cell, volume {volume:.3g} Å³")


def separated(batch: Crystals, rejected: list[dict[str, str]]) -> np.ndarray:
    """Return the indices of crystals whose atoms keep their distance; add the others to ``rejected``."""
    shortest = closest_distances(batch, CLOSEST)
    for index in np.flatnonzero(np.isfinite(shortest)):
        reason = f"two atoms are {shortest[index]:.3f} Å apart, closer than {CLOSEST} Å"
        rejected.append({"id": batch.ids[index], "reason": reason})
    return np.flatnonzero(np.isinf(shortest))


def unique_names(names: list[str]) -> list[str]:
    """Return the names, those that occur again with a suffix that no other name has."""
    taken, seen = set(names), Counter[str]()
    result = []
    for name in names:
        seen[name] += 1
        unique = name
        if seen[name] > 1:
            suffix = seen[name]
            while (unique := f"{name}-{suffix}") in taken:
                suffix += 1
            taken.add(unique)
        result.append(unique)
    return result


def source_hash(source: str) -> str:
    """Return the SHA-256 of the source file, or of the names and contents of the files of a folder."""
    path = Path(source)
    if path.is_file():
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.suffix.lower() in (".cif", ".csv") and p.is_file()):
        digest.update(f"{file.relative_to(path)}\0{file.stat().st_size}\0".encode() + file.read_bytes())
    return digest.hexdigest()
