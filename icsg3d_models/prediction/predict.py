"""The stage ``predict``: samples of one composition, in cells of every size, become ranked crystals.

Each size of the cell is sampled, segmented and rebuilt by the stages themselves, with the composition kept. Crystals
that StructureMatcher takes for one (MatterGen's tolerances) are one row; without a potential it is the one whose
elements are the surest, with one that of the lowest energy. How often a crystal comes up is a guess of its probability;
energies of crystals as they are drawn are too uncertain to rank alone, and are weighed against it.
"""

from __future__ import annotations

import csv
import math
import os
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..comparison.descriptors import describe
from ..comparison.matching import Matcher
from ..crystals.batch import Crystals, joined_crystals
from ..crystals.crystal_file import read_crystal_file, write_crystal_file
from ..crystals.formulas import amounts_of
from ..crystals.symmetry import space_group
from ..crystals.validity import structure_problems
from ..devices import select_device
from ..generation import rebuild, sample, segment
from ..networks.model_file import file_hash
from ..relaxation.table import read_table
from ..results import Report, StageError
from ..settings import PredictSettings, RebuildSettings, RelaxSettings, SampleSettings, SegmentSettings

WORTH = 0.1  # eV/atom of energies as drawn that weigh as much as a factor e in how often a crystal comes up
COLUMNS = ("rank", "id", "formula", "n_atoms", "space_group", "space_group_number", "found", "confidence",
           "energy_per_atom", "volume_per_atom", "cif")  # fmt: skip


@dataclass(frozen=True)
class Drawn:
    """Crystals of the composition.

    :param crystals: with sound structures, in the order in which they were drawn.
    :param confidence: (B,) probability of the least sure species of each.
    :param energy: (B,) eV/atom by the potential, NaN where there is none.
    """

    crystals: Crystals
    confidence: np.ndarray
    energy: np.ndarray


def run(settings: PredictSettings, report: Report) -> None:
    """Write the ranked crystals and their table.

    :raises StageError: no sample became a crystal of this composition.
    """
    for name in ("vae", "unet", "prior"):
        report.inputs[name] = file_hash(report.directory / getattr(settings, name))
    drawn = drawn_of(settings, report)
    if len(drawn.crystals) == 0:
        why = "; ".join(f"{count} x {reason}" for reason, count in report.tables["reasons"].items())
        total = report.counts["samples"]
        raise StageError("nothing_rebuilt", f"none of {total} samples is a crystal of the composition: {why}")
    rows = ranked(drawn, settings.relax)
    report.counts.update(distinct=len(rows))
    table = [row_of(drawn, place, *row) for place, row in enumerate(rows)]
    report.tables["best"] = [{key: value for key, value in row.items() if key != "cif"} for row in table[:10]]
    write_crystal_file(report.directory / settings.crystals, drawn.crystals.take([index for index, _ in rows]))
    write_rows(report.directory / settings.table, table)


def drawn_of(settings: PredictSettings, report: Report) -> Drawn:
    """Return the crystals of all sizes of the cell; the report says why samples are none."""
    reasons: Counter[str] = Counter()
    parts = []
    for done, n_atoms in enumerate(settings.sizes):
        with tempfile.TemporaryDirectory(dir=report.directory, prefix=".predict_") as name:
            part = of_size(settings, n_atoms, Path(name), report.directory, reasons)
        parts += [part] if part is not None else []
        report.progress(done + 1, len(settings.sizes))
    crystals = joined_crystals([part.crystals for part in parts])
    report.tables["reasons"] = dict(reasons.most_common())
    report.counts.update(samples=settings.n_samples * len(settings.sizes), cells=len(settings.sizes))
    report.counts.update(crystals=len(crystals))
    columns = ([getattr(part, name) for part in parts] for name in ("confidence", "energy"))
    return Drawn(crystals, *(np.concatenate([np.zeros(0), *column]) for column in columns))


def of_size(
    settings: PredictSettings, n_atoms: int, folder: Path, directory: Path, reasons: Counter[str]
) -> Drawn | None:
    """Return the crystals of one size of the cell, None where there are none.

    :param folder: of intermediate files; ``directory``: to which the names of the models are relative.
    :param reasons: why samples are none, counted on.
    """
    vae, unet, prior = (str((directory / getattr(settings, name)).resolve()) for name in ("vae", "unet", "prior"))
    common: dict[str, Any] = {"device": settings.device, "threads": settings.threads, "seed": settings.seed}
    size: dict[str, Any] = {"composition": settings.composition, "n_atoms": n_atoms}
    asked = {**settings.asked, **size}
    drawing = {"vae": vae, "prior": prior, "n_samples": settings.n_samples, "guidance": settings.guidance,
               "batch_size": settings.batch_size}  # fmt: skip
    sample.run(SampleSettings.model_validate({**common, **asked, **drawing}), Report("sample", folder, quiet=True))
    elements = sorted(amounts_of(size["composition"]))
    segment.run(SegmentSettings(**common, unet=unet, elements=elements), Report("segment", folder, quiet=True))
    report = Report("rebuild", folder, quiet=True)
    try:
        rebuild.run(RebuildSettings(**common, **size), report)
    except StageError as exception:
        if exception.status != "nothing_rebuilt":
            raise
    reasons.update(report.tables["not_rebuilt"].values())
    if not report.counts["rebuilt"]:
        return None
    made = read_crystal_file(folder / "crystals.h5")
    energy = np.full(len(made), np.nan)
    sure = np.array([report.tables["confidence"][name] for name in made.ids])
    if settings.potential is not None:
        means = relaxed if settings.relax else as_drawn
        made, energy, kept = means(settings, made, folder, reasons)
        sure = sure[kept]
    problems = structure_problems(made)
    reasons.update(problem for problem in problems if problem is not None)
    sound = np.flatnonzero([problem is None for problem in problems])
    if len(sound) == 0:
        return None
    chosen = made.take(sound)
    named = Crystals(
        chosen.cell, chosen.frac, chosen.numbers, chosen.offsets, tuple(f"n{n_atoms}_{name}" for name in chosen.ids)
    )
    return Drawn(named, sure[sound], energy[sound])


def relaxed(
    settings: PredictSettings, made: Crystals, folder: Path, reasons: Counter[str]
) -> tuple[Crystals, np.ndarray, list[int]]:
    """Return what a potential makes of crystals, their energies in eV/atom, and which of them these are.

    :param reasons: why the others have none, counted on.
    """
    from ..relaxation import relax

    chosen = {"device": settings.device, "threads": settings.threads, "fmax": settings.fmax, "hull": False}
    given = RelaxSettings.model_validate({**chosen, "potential": settings.potential})
    try:
        relax.run(given, Report("relax", folder, quiet=True))
    except StageError as exception:
        if exception.status != "nothing_relaxed":
            raise
        reasons[f"not relaxed: {exception}"] += len(made)
        return made.take([]), np.zeros(0), []
    rows = {row["id"]: row for row in read_table(folder / given.table)}
    reasons.update(str(row["status"]) for row in rows.values() if row["energy_per_atom"] is None)
    after = read_crystal_file(folder / given.relaxed)
    place = {name: index for index, name in enumerate(made.ids)}
    kept = [index for index, name in enumerate(after.ids) if rows[name]["energy_per_atom"] is not None]
    after = after.take(kept)
    return after, np.array([rows[name]["energy_per_atom"] for name in after.ids]), [place[name] for name in after.ids]


def as_drawn(
    settings: PredictSettings, made: Crystals, folder: Path, reasons: Counter[str]
) -> tuple[Crystals, np.ndarray, list[int]]:
    """Return crystals with their energies in eV/atom as they are, and which of those given they are.

    :param reasons: why the others have none, counted on.
    """
    from ..relaxation.one_crystal import single_energy
    from ..relaxation.optimise import atoms_of
    from ..relaxation.potentials import load

    assert settings.potential is not None
    device = select_device(settings, Report("predict", folder, quiet=True))
    potential = load(settings.potential, device)
    energies = np.full(len(made), np.nan)
    for index in range(len(made)):
        atoms = atoms_of(made, index)
        energy, reason = single_energy(atoms, potential)
        if energy is None or not np.isfinite(energy):
            reasons[reason or f"{potential.name} gives it no energy that is finite"] += 1
        else:
            energies[index] = energy / len(atoms)
    kept = np.flatnonzero(np.isfinite(energies))
    return made.take(kept), energies[kept], kept.tolist()


def ranked(drawn: Drawn, relaxed: bool = True) -> list[tuple[int, int]]:
    """Return distinct crystals, the best first, as index and how many samples came to it.

    By energy where all have one; else by how often they came up, and then by confidence.

    :param relaxed: whether energies are of relaxed crystals; of others they are weighed with how often these came up.
    """
    by_energy = bool(np.isfinite(drawn.energy).all())
    quality = -drawn.energy if by_energy else drawn.confidence
    matcher = Matcher(drawn.crystals, describe(drawn.crystals))
    found: Counter[int] = Counter()
    for index in np.argsort(-quality, kind="stable").tolist():  # the best of equal crystals stands for them
        first = matcher.first_match(index, matcher, found)
        found[index if first is None else first] += 1
    if by_energy and not relaxed:
        return sorted(found.items(), key=lambda row: drawn.energy[row[0]] / WORTH - math.log(row[1]))
    if by_energy:
        return sorted(found.items(), key=lambda row: drawn.energy[row[0]])
    return sorted(found.items(), key=lambda row: (-row[1], -drawn.confidence[row[0]]))


def row_of(drawn: Drawn, place: int, index: int, found: int) -> dict[str, Any]:
    """Return one row of the table."""
    crystals = drawn.crystals
    one = crystals.take([index])
    symbol, number = space_group(crystals, index)
    count = int(crystals.counts[index])
    energy = float(drawn.energy[index])
    values = (
        *(place + 1, crystals.ids[index], one.formulas()[0], count, symbol, number, found),
        *(round(float(drawn.confidence[index]), 4), energy if np.isfinite(energy) else None),
        *(round(float(crystals.volumes[index]) / count, 4), next(one.structures()).to(fmt="cif")),
    )
    return dict(zip(COLUMNS, values, strict=True))


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the table atomically."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open(temporary, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    os.replace(temporary, path)
