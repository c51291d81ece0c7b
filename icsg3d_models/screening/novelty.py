"""Which crystals the training data do not hold."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import h5py

from ..datasets import FORMAT as DATASET_FORMAT
from ..datasets import read_dataset
from ..results import StageError
from .descriptors import describe
from .fingerprint import FINGERPRINT_FILE, FORMAT, read_fingerprint
from .matching import Matcher


@dataclass(frozen=True)
class Novelty:
    """What is new about each crystal.

    :param crystal: no crystal of the reference is the same.
    :param composition: the reference has no crystal of this composition.
    :param against: what was compared with, in words.
    """

    crystal: list[bool]
    composition: list[bool]
    against: str


def find_reference(given: str | None, predictors: list[str]) -> Path | None:
    """Return the reference to compare with: the one given, else the fingerprint beside the first predictor."""
    if given is not None:
        return Path(given)
    beside = Path(predictors[0]).parent / FINGERPRINT_FILE if predictors else None
    return beside if beside is not None and beside.is_file() else None


def judge_novelty(matcher: Matcher, formulas: list[str], reference: Path) -> Novelty:
    """Compare crystals with a fingerprint (by description) or a dataset file (by StructureMatcher).

    :param matcher: the crystals, with valid structures.
    :param formulas: their reduced formulas.
    :raises StageError: the reference is missing or neither of the two.
    """
    if not reference.is_file():
        raise StageError(
            "input_missing", f"{reference}: no such file; `reference` takes a fingerprint or a dataset file"
        )
    try:
        with h5py.File(reference, "r") as file:
            kind = file.attrs.get("format")
    except OSError as exception:
        raise StageError("input_unreadable", f"{reference}: not an HDF5 file, or damaged ({exception})") from exception
    if kind == FORMAT:
        known = read_fingerprint(reference)
        values = matcher.descriptors.values
        novel = [not known.knows(f, v) for f, v in zip(formulas, values, strict=True)]
        against = f"fingerprint of {known.name}, {len(known)} crystals"
        return Novelty(novel, [f not in known.by_formula for f in formulas], against)
    if kind == DATASET_FORMAT:
        dataset = read_dataset(reference)
        by_formula: dict[str, list[int]] = defaultdict(list)
        for index, formula in enumerate(dataset.crystals.formulas()):
            by_formula[formula].append(index)
        wanted = sorted({i for f in set(formulas) for i in by_formula.get(f, [])})
        crystals = dataset.crystals.take(wanted)
        other = Matcher(crystals, describe(crystals))
        place = {old: new for new, old in enumerate(wanted)}
        novel = [
            matcher.first_match(index, other, [place[i] for i in by_formula.get(formula, [])]) is None
            for index, formula in enumerate(formulas)
        ]
        return Novelty(
            novel, [f not in by_formula for f in formulas], f"dataset {dataset.name}, {len(dataset)} crystals"
        )
    raise StageError(
        "input_unreadable", f"{reference}: format {kind!r}; `reference` takes {FORMAT} or {DATASET_FORMAT}"
    )
