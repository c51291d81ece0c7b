"""Stage ``relax``: crystals to their nearest minimum by a machine-learned potential, one after the other."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Composition

from ..crystals.batch import Crystals
from ..crystals.crystal_file import read_crystal_file, write_crystal_file
from ..crystals.elements import MAX_Z, SYMBOLS
from ..devices import select_device
from ..networks.model_file import file_hash
from ..results import Report, StageError
from ..settings import RelaxSettings
from ..settings.relax import Potential
from ..stability.formation import corrected_label
from ..stability.hull import check_label
from ..stability.references import References, ReferencesError, read_references, shipped_references
from .changes import MAX_RMSD
from .estimate import add_estimates
from .journal import Journal
from .one_crystal import relax_one
from .optimise import NOT_CONVERGED, RELAXED, Late, atoms_of
from .potentials import Loaded, load
from .table import write_table

# settings that do not change what becomes of a crystal: the journal of another choice can be gone on with
_FREE = {
    "crystals", "only", "device", "threads", "seed", "hull", "references", "references_label", "deadline_seconds",
    "stable_within", "resume_from", "relaxed", "table", "journal",
}  # fmt: skip


def run(settings: RelaxSettings, report: Report) -> None:
    """Relax the crystals and write relax.csv, relaxed.h5 and, as they come, relax.jsonl.

    :raises StageError: an input does not fit; ``walltime``, with what is done written; ``nothing_relaxed``.
    """
    device = select_device(settings, report)
    folder = report.directory
    crystals = read_crystal_file(folder / settings.crystals)
    report.inputs["crystals"] = file_hash(folder / settings.crystals)
    wanted = chosen(crystals, settings.only)
    references = references_of(settings, folder)
    potential = load(settings.potential, device)
    second = load(settings.second, device) if settings.second is not None else None
    if references is not None:
        for one in (potential, second):
            refuse_other_scale(one, references)
    report.tables["potential"] = described(potential)
    if second is not None:
        report.tables["second"] = described(second)
    for name, asked in (("potential", settings.potential), ("second", settings.second)):
        report.inputs.update({f"{name}:{argument}": digest for argument, digest in model_files(asked, folder).items()})
    journal = open_journal(settings, report, (potential, second))
    if settings.references is not None:
        report.inputs["references"] = file_hash(folder / settings.references)
    try:
        relax_all(crystals, wanted, potential, second, settings, report, journal)
    finally:
        # also where the deadline or a signal came: what is done stays usable
        done = [journal.done[name] for name in (crystals.ids[i] for i in wanted) if name in journal.done]
        finish(done, references, settings, report)
    if not report.counts.get(RELAXED) and not report.counts.get(NOT_CONVERGED):
        why = "; ".join(f"{n} x {reason}" for reason, n in report.tables["reasons"].items())
        raise StageError("nothing_relaxed", f"none of {len(wanted)} crystals could be relaxed: {why}")


def chosen(crystals: Crystals, only: list[str] | None) -> list[int]:
    """Return the crystals to relax.

    :raises StageError: an id is not in the file, or none is named.
    """
    if only is None:
        return list(range(len(crystals)))
    index = {name: i for i, name in enumerate(crystals.ids)}
    unknown = [name for name in only if name not in index]
    if unknown or not only:
        raise StageError(
            "input_incompatible",
            f"`only` names {', '.join(unknown[:5]) or 'no crystal'}; the file holds {', '.join(crystals.ids[:5])}, ...",
        )
    return [index[name] for name in dict.fromkeys(only)]


def references_of(settings: RelaxSettings, folder: Path) -> References | None:
    """Return the reference energies, None where no hull is asked for.

    :raises StageError: the file cannot be used.
    """
    if settings.references_label is not None and settings.references is None:
        raise StageError("settings_rejected", "`references_label` belongs to a file of `references`, and none is given")
    if not settings.hull:
        return None
    if settings.references is None:
        return shipped_references()
    try:
        return read_references(folder / settings.references, settings.references_label)
    except ReferencesError as exception:
        raise StageError("input_unreadable", str(exception)) from exception


def refuse_other_scale(potential: Loaded | None, references: References) -> None:
    """Refuse energies that are not comparable with the references.

    :raises StageError: with what to do.
    """
    if potential is None:
        return
    try:
        check_label(references, corrected_label(potential.scale))
    except ReferencesError as exception:
        raise StageError(
            "input_incompatible", f"{potential.name}: {exception}; or set `hull` to false, or say its `scale`"
        ) from exception


def described(potential: Loaded) -> dict[str, Any]:
    """Return a potential for the record."""
    return {"name": potential.name, "version": potential.version, "scale": potential.scale}


def model_files(potential: Potential | None, folder: Path) -> dict[str, str]:
    """Return argument -> SHA-256 of the files among the arguments of a calculator, such as its model file."""
    given = potential.arguments if potential is not None else {}
    return {k: file_hash(folder / v) for k, v in given.items() if isinstance(v, str) and v and (folder / v).is_file()}


def open_journal(settings: RelaxSettings, report: Report, potentials: tuple[Loaded | None, ...]) -> Journal:
    """Return the journal, with what an earlier run has done.

    :raises StageError: it is of another run.
    """
    path = report.directory / settings.journal
    if settings.resume_from is not None and not path.exists():
        earlier = report.directory / settings.resume_from
        if not earlier.is_file():
            raise StageError("input_missing", f"{earlier}: no journal there; leave out `resume_from` to start afresh")
        shutil.copyfile(earlier, path)
    deciding = settings.model_dump(mode="json", exclude=_FREE)
    versions = {one.name: one.version for one in potentials if one is not None}
    journal = Journal(path, {**deciding, "versions": versions, **report.inputs})
    report.counts["done_before"] = len(journal.done)
    return journal


def relax_all(
    crystals: Crystals,
    wanted: list[int],
    potential: Loaded,
    second: Loaded | None,
    settings: RelaxSettings,
    report: Report,
    journal: Journal,
) -> None:
    """Relax what the journal does not have yet.

    :raises StageError: ``walltime``.
    """
    limit = settings.deadline_seconds
    deadline = None if limit is None else report.started + limit
    left = [i for i in wanted if crystals.ids[i] not in journal.done]
    for index in left:
        report.progress(len(journal.done), len(wanted), crystal=crystals.ids[index])
        try:
            if deadline is not None and time.monotonic() > deadline:
                raise Late
            entry = relax_one(atoms_of(crystals, index), potential, second, settings, deadline)
        except Late:
            raise StageError(
                "walltime",
                f"the deadline of {limit:.0f} s came after {len(journal.done)} of {len(wanted)} crystals; run again in "
                "the same folder, or with `resume_from`, to go on",
            ) from None
        entry["row"]["formula"] = reduced_formula(crystals.sites(index)[1])
        journal.add(crystals.ids[index], entry)
    report.progress(len(wanted), len(wanted))


def reduced_formula(numbers: np.ndarray) -> str:
    """Return the reduced formula of a crystal, empty where it has no sites or one that is no element."""
    if len(numbers) == 0 or not 1 <= numbers.min() <= numbers.max() <= MAX_Z:
        return ""
    return Composition(dict(Counter(SYMBOLS[z] for z in numbers))).reduced_formula


def finish(done: list[dict[str, Any]], references: References | None, settings: RelaxSettings, report: Report) -> None:
    """Write table and crystals of what is done, and the figures over all of it."""
    rows = [{"id": entry["id"], **entry["row"]} for entry in done]
    kept = [i for i, entry in enumerate(done) if "cell" in entry]
    relaxed = Crystals.from_arrays(
        [np.array(done[i]["cell"]) for i in kept],
        [np.array(done[i]["frac"]) for i in kept],
        [np.array(done[i]["numbers"]) for i in kept],
        [done[i]["id"] for i in kept],
    )
    if references is not None:
        scales = tuple(report.tables.get(name, {}).get("scale") for name in ("potential", "second"))
        seconds = [done[i].get("second_energy") for i in kept]
        report.tables["hull"] = add_estimates(
            [rows[i] for i in kept], relaxed, seconds, scales, references, settings.stable_within
        )
    write_table(report.directory / settings.table, rows)
    write_crystal_file(report.directory / settings.relaxed, relaxed)
    report.counts.update(crystals=len(rows), **Counter(row["status"] for row in rows))
    report.counts["left_prototype"] = sum(bool(rows[i]["left_prototype"]) for i in kept)
    for word in ("stable", "dynamically_stable", "followed"):
        if any(word in row for row in rows):
            report.counts[word] = sum(bool(row.get(word)) for row in rows)
    for word in ("gained", "lost"):
        report.counts[f"symmetry_{word}"] = sum(rows[i]["symmetry"] == word for i in kept)
    report.tables["reasons"] = dict(Counter(row["reason"] for row in rows if "energy" not in row).most_common())
    report.scalars.update(figures([rows[i] for i in kept]))


def figures(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return means and medians over the relaxed crystals; where sites cannot be assigned, MatterGen's cap counts."""
    if not rows:
        return {}
    moved = [row.get("rmsd", MAX_RMSD * (row["volume"] / row["n_sites"]) ** (1 / 3)) for row in rows]
    found = {
        "rmsd_mean": float(np.mean(moved)),
        "rmsd_median": float(np.median(moved)),
        "volume_change_median": float(np.median([row["volume_change"] for row in rows])),
        "seconds_per_crystal": float(np.mean([row["seconds"] for row in rows])),
    }
    for name in ("estimated_e_above_hull", "spread"):
        values = [row[name] for row in rows if row.get(name) is not None]
        if values:
            found[f"{name}_median"] = float(np.median(values))
    return found
