"""Which candidates pass, in what order, and the table of all of them."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np

from ..crystals.batch import Crystals
from ..crystals.symmetry import space_group
from .candidates import Candidates


def funnel_masks(candidates: Candidates, require: list[str]) -> dict[str, np.ndarray]:
    """Return who is left after each test, (B,) bool; a test that is not required lets everyone pass."""
    everyone = np.ones(len(candidates.structure_valid), dtype=bool)
    valid = candidates.allowed.copy()
    if "structure" in require:
        valid &= candidates.structure_valid
    if "composition" in require:
        valid &= candidates.composition_valid
    unique = valid & candidates.unique if "unique" in require else valid
    novel = unique
    if "novel" in require and candidates.novel is not None:
        novel = unique & candidates.novel
    return {"crystals": everyone, "valid": valid, "unique": unique, "novel": novel}


def order(passing: np.ndarray, values: np.ndarray | None, descending: bool) -> np.ndarray:
    """Return the indices that pass, best first; without a value to rank by, in the order given.

    Crystals without a prediction are left out. Equal values keep their order.
    """
    indices = np.flatnonzero(passing)
    if values is None:
        return indices
    indices = indices[np.isfinite(values[indices])]
    return indices[np.argsort(-values[indices] if descending else values[indices], kind="stable")]


def write_table(path: str | Path, crystals: Crystals, candidates: Candidates, selected: np.ndarray) -> None:
    """Write screening.csv, one row a crystal, in the order of the crystals."""
    from pymatgen.core import Lattice

    rank = {int(index): position + 1 for position, index in enumerate(selected)}
    prediction = candidates.prediction
    names = [
        "rank", "id", "formula", "n_sites", "spacegroup_symbol", "spacegroup_number",
        "a", "b", "c", "alpha", "beta", "gamma", "volume",
        *(f"{kind}_{name}" for name in prediction.values for kind in ("predicted", "uncertainty")),
        "structure_valid", "composition_valid", "unique", "duplicate_of", "novel", "selected",
        "novel_composition", "reason",
    ]  # fmt: skip
    counts = crystals.counts
    with np.errstate(invalid="ignore", divide="ignore"):  # cells that are not valid have no angles
        shapes = [(*lattice.abc, *lattice.angles, lattice.volume) for lattice in map(Lattice, crystals.cell)]
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open(temporary, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(names)
        for index in range(len(crystals)):
            sound = bool(candidates.structure_valid[index])
            symbol, number = space_group(crystals, index) if sound else ("", 0)
            duplicate = candidates.duplicate_of[index]
            predicted = [
                f"{value:.6g}" if np.isfinite(value) else ""
                for name in prediction.values
                for value in (prediction.values[name][index], prediction.uncertainty[name][index])
            ]
            writer.writerow([
                rank.get(index, ""), crystals.ids[index], candidates.formulas[index], int(counts[index]),
                symbol, number or "",
                *(f"{value:.6f}" if np.isfinite(value) else "" for value in shapes[index]),
                *predicted,
                sound, bool(candidates.composition_valid[index]), bool(candidates.unique[index]),
                "" if duplicate is None else crystals.ids[duplicate],
                "" if candidates.novel is None else bool(candidates.novel[index]),
                index in rank,
                "" if candidates.novel_composition is None else bool(candidates.novel_composition[index]),
                candidates.reasons[index] or "",
            ])  # fmt: skip
    os.replace(temporary, path)
