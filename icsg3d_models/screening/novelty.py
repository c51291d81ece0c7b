"""Which crystals the training data do not hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py

from ..comparison.descriptors import describe
from ..comparison.fingerprint import FORMAT, Fingerprint, read_fingerprint
from ..comparison.matching import Matcher
from ..comparison.pair_distances import separations
from ..crystals.batch import Crystals
from ..data.datasets import FORMAT as DATASET_FORMAT
from ..data.datasets import read_dataset
from ..results import StageError


@dataclass(frozen=True)
class Reference:
    """What is known, and what it is in words.

    :param known: a dataset's crystals or a fingerprint.
    :param name: of the whole reference, for the record.
    :param data: name of the dataset that it is, or that it is of; None where it is of none.
    :param says: what is wrong with a candidate that it holds.
    """

    known: Crystals | Fingerprint
    name: str
    data: str | None
    says: str = "not novel: the training data hold it"


@dataclass(frozen=True)
class Novelty:
    """What is new about each crystal.

    :param crystal: no crystal of the reference is the same.
    :param composition: the reference has no crystal of this composition.
    """

    crystal: list[bool]
    composition: list[bool]


def read_reference(path: Path) -> Reference:
    """Read what novelty is judged against.

    :raises StageError: the file is missing, or neither a fingerprint nor a dataset file.
    """
    if not path.is_file():
        raise StageError("input_missing", f"{path}: no such file; `reference` takes a fingerprint or a dataset file")
    try:
        with h5py.File(path, "r") as file:
            kind = file.attrs.get("format")
    except OSError as exception:
        raise StageError("input_unreadable", f"{path}: not an HDF5 file, or damaged ({exception})") from exception
    if kind == FORMAT:
        fingerprint = read_fingerprint(path)
        return Reference(
            fingerprint, f"fingerprint of {fingerprint.name}, {len(fingerprint)} crystals", fingerprint.name
        )
    if kind == DATASET_FORMAT:
        dataset = read_dataset(path)
        return Reference(dataset.crystals, f"dataset {dataset.name}, {len(dataset)} crystals", dataset.name)
    raise StageError("input_unreadable", f"{path}: format {kind!r}; `reference` takes {FORMAT} or {DATASET_FORMAT}")


def judge_novelty(
    matcher: Matcher, formulas: list[str], reference: Reference, progress: Callable[[int], None] = lambda done: None
) -> Novelty:
    """Compare crystals with those of the reference: by StructureMatcher, or by the distances of a fingerprint.

    :param matcher: the crystals, with valid structures.
    :param formulas: their reduced formulas.
    :param progress: called with the number of crystals done.
    """
    if isinstance(reference.known, Fingerprint):
        known_formula, is_known = _judge_by_fingerprint(matcher, reference.known)
    else:
        known_formula, is_known = _judge_by_crystals(matcher, formulas, reference.known)
    novel = []
    for index, formula in enumerate(formulas):
        novel.append(not (known_formula(formula) and is_known(index, formula)))
        if (index + 1) % 200 == 0:
            progress(index + 1)
    return Novelty(novel, [not known_formula(formula) for formula in formulas])


Judge = tuple[Callable[[str], bool], Callable[[int, str], bool]]


def _judge_by_fingerprint(matcher: Matcher, known: Fingerprint) -> Judge:
    """Return what tells whether a formula is known, and whether crystal ``index`` of that formula is."""
    return known.has_formula, lambda index, formula: known.holds(formula, separations(matcher.structure(index)))


def _judge_by_crystals(matcher: Matcher, formulas: list[str], known: Crystals) -> Judge:
    """Return the same for a dataset, by StructureMatcher."""
    by_formula: dict[str, list[int]] = defaultdict(list)
    for index, formula in enumerate(known.formulas()):
        by_formula[formula].append(index)
    wanted = sorted({i for f in set(formulas) for i in by_formula.get(f, [])})
    place = {old: new for new, old in enumerate(wanted)}
    part = known.take(wanted)
    other = Matcher(part, describe(part))

    def is_known(index: int, formula: str) -> bool:
        return matcher.first_match(index, other, [place[i] for i in by_formula[formula]]) is not None

    return by_formula.__contains__, is_known
