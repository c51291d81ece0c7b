"""Which crystals the training data do not hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
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


def find_reference(given: Path | None, predictors: list[Path]) -> Path | None:
    """Return the reference to compare with: the one given, else the fingerprint beside the first predictor."""
    if given is not None:
        return given
    beside = predictors[0].parent / FINGERPRINT_FILE if predictors else None
    return beside if beside is not None and beside.is_file() else None


def judge_novelty(
    matcher: Matcher, formulas: list[str], reference: Path, progress: Callable[[int], None] = lambda done: None
) -> Novelty:
    """Compare crystals with those of a fingerprint or a dataset file by StructureMatcher.

    :param matcher: the crystals, with valid structures.
    :param formulas: their reduced formulas.
    :param progress: called with the number of crystals done.
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
        fingerprint = read_fingerprint(reference)
        known, against = fingerprint.crystals, f"fingerprint of {fingerprint.name}"
    elif kind == DATASET_FORMAT:
        dataset = read_dataset(reference)
        known, against = dataset.crystals, f"dataset {dataset.name}"
    else:
        raise StageError(
            "input_unreadable", f"{reference}: format {kind!r}; `reference` takes {FORMAT} or {DATASET_FORMAT}"
        )
    by_formula: dict[str, list[int]] = defaultdict(list)
    for index, formula in enumerate(known.formulas()):
        by_formula[formula].append(index)
    wanted = sorted({i for f in set(formulas) for i in by_formula.get(f, [])})
    place = {old: new for new, old in enumerate(wanted)}
    part = known.take(wanted)
    other = Matcher(part, describe(part))
    novel = []
    for index, formula in enumerate(formulas):
        candidates = [place[i] for i in by_formula.get(formula, [])]
        novel.append(matcher.first_match(index, other, candidates) is None)
        if (index + 1) % 200 == 0:
            progress(index + 1)
    return Novelty(novel, [f not in by_formula for f in formulas], f"{against}, {len(known)} crystals")
