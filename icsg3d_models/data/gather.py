"""Records become a batch of crystals with their properties; what is left out is named with the reason."""

from __future__ import annotations

import math
import multiprocessing
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..crystals.batch import CrystalError, Crystals
from ..crystals.neighbours import closest_distances
from ..crystals.validity import LARGEST
from .crystal import Crystal, Refused, check_crystal
from .readers.record import CifText, Record

CLOSEST = 0.5  # Å; two nuclei closer than this are a mistake of the file, not a crystal
RENAMED = "named like another, so the later one has a number behind its name"
_MISSING = ("", "none", "null", "na", "n/a", "#n/a", "<na>", "nan", "-", "--", "?")
_COMMA = re.compile(r"[+-]?\d+,\d+$")
_POOL_FROM = 8000  # CIFs; below, starting processes costs more than it saves
_STEP = 200


@dataclass(frozen=True)
class Gathered:
    """What came of the records.

    :param values: of each crystal, property -> number, NaN where missing.
    :param rejected: id and reason of each that is left out.
    :param read: crystals that were found, used or not.
    :param assumed: what was assumed in reading them, or is not kept of them -> the names.
    """

    crystals: Crystals
    values: list[dict[str, float]]
    rejected: list[dict[str, str]]
    read: int
    assumed: dict[str, list[str]]

    @property
    def notes(self) -> list[str]:
        """The same as sentences."""
        return [f"{len(ids)} crystals: {note} ({some(ids)})" for note, ids in self.assumed.items()]


def gather(
    records: list[Record],
    required: list[str] | None = None,
    processes: int | None = 1,
    say: Callable[[int, int, int, int], None] = lambda *_: None,
) -> Gathered:
    """Read the records in their order.

    A crystal of a record that holds several is named after its place in it, also where others of them are left out.

    :param required: properties without which a crystal is left out.
    :param processes: for large sources; None: one for every core.
    :param say: is told how many records are done, of how many, and how many crystals are used and left out.
    """
    names: list[str] = []
    crystals: list[Crystal] = []
    values: list[dict[str, float]] = []
    rejected: list[dict[str, str]] = []
    assumed: dict[str, list[int]] = defaultdict(list)
    for done, (record, outcome) in enumerate(zip(records, parse_all(records, processes), strict=True), 1):
        for name, found in _named(record.id, outcome):
            try:
                if isinstance(found, Refused):
                    raise CrystalError(found.reason)
                check_crystal(found)
                _check_volume(found)
                numbers = property_values(record, required or [])
                if len(outcome) > 1 and not all(math.isnan(number) for number in numbers.values()):
                    raise CrystalError(f"{record.id} holds {len(outcome)} crystals, which share one row of properties")
            except CrystalError as exception:
                rejected.append({"id": name, "reason": str(exception)})
                continue
            if found.note:
                assumed[found.note].append(len(names))
            names.append(name)
            crystals.append(found)
            values.append(numbers)
        if done % _STEP == 0 or done == len(records):
            say(done, len(records), len(crystals), len(rejected))
    unique = unique_names(names)
    if renamed := [place for place, name in enumerate(unique) if name != names[place]]:
        assumed[RENAMED] = renamed
    batch = Crystals.from_arrays(
        [c.cell for c in crystals], [c.frac for c in crystals], [c.numbers for c in crystals], unique
    )
    read = len(names) + len(rejected)
    keep = separated(batch, rejected)
    used = set(keep.tolist())
    kept = {note: [batch.ids[i] for i in places if i in used] for note, places in assumed.items()}
    kept = {note: ids for note, ids in kept.items() if ids}
    return Gathered(batch.take(keep), [values[i] for i in keep], rejected, read, kept)


def some(names: list[str]) -> str:
    """Return the first names, and whether there are more."""
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _named(name: str, outcome: list[Crystal | Refused]) -> Iterator[tuple[str, Crystal | Refused]]:
    """Yield the id of each crystal of a record."""
    for place, found in enumerate(outcome, 1):
        yield name if len(outcome) == 1 else f"{name}-{place}", found


def parse_all(records: list[Record], processes: int | None) -> Iterator[list[Crystal | Refused]]:
    """Yield what each record holds, in the order of the records."""
    processes = processes or len(os.sched_getaffinity(0))
    texts = [record.read for record in records if isinstance(record.read, CifText)]
    if processes < 2 or len(texts) < _POOL_FROM:
        yield from map(outcome_of, (record.read for record in records))
        return
    # spawned, not forked: a forked child may inherit a lock that another library's thread held
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        parsed = pool.map(outcome_of, texts, chunksize=64)
        for record in records:
            yield next(parsed) if isinstance(record.read, CifText) else outcome_of(record.read)


def outcome_of(read: Any) -> list[Crystal | Refused]:
    """Return what ``read`` finds; where it raises a CrystalError, that is all."""
    try:
        return read()
    except CrystalError as exception:
        return [Refused(str(exception))]


def property_values(record: Record, required: list[str]) -> dict[str, float]:
    """Return the properties of a record as numbers, NaN where missing.

    :raises CrystalError: a value is no number, infinite, or a required one is missing.
    """
    numbers = {}
    for name, value in record.values.items():
        text = "" if value is None else str(value).strip()
        try:
            numbers[name] = math.nan if text.lower() in _MISSING else float(text.replace("_", "no digit"))
        except ValueError:
            hint = "; decimals take a point" if _COMMA.match(text) else ""
            raise CrystalError(f"property {name} is {text[:40]!r}, which is no number{hint}") from None
        if math.isinf(numbers[name]):
            raise CrystalError(f"property {name} is infinite")
    missing = [name for name in required if math.isnan(numbers.get(name, math.nan))]
    if missing:
        raise CrystalError(f"no value (missing or NaN) for the required {', '.join(missing)}")
    return numbers


def _check_volume(crystal: Crystal) -> None:
    """Refuse a cell that is nearly empty.

    :raises CrystalError: with its volume.
    """
    volume = abs(float(np.linalg.det(crystal.cell))) / len(crystal.numbers)
    if volume > LARGEST:
        raise CrystalError(f"{volume:.3g} Å³ an atom, more than {LARGEST:g}; lengths have to be in Å")


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
