"""Which crystals the training data do not hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py

from ..comparison.descriptors import describe
from ..comparison.fingerprint import FORMAT, Fingerprint, read_fingerprint
from ..comparison.matching import Matcher, primitive_structure
from ..comparison.pair_distances import separations
from ..crystals.batch import Crystals
from ..data.datasets import FORMAT as DATASET_FORMAT
from ..data.datasets import read_dataset
from ..results import StageError
from ..workers import Workers
from .bundles import bundles


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
    crystals: Crystals,
    formulas: list[str],
    reference: Reference,
    workers: Workers | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Novelty:
    """Compare crystals with those of the reference: by StructureMatcher, or by the distances of a fingerprint.

    :param crystals: with valid structures.
    :param formulas: their reduced formulas.
    :param progress: called with the number of crystals done.
    """
    known = reference.known
    theirs: dict[str, list[int]] = defaultdict(list)
    for index, formula in enumerate(known.formulas if isinstance(known, Fingerprint) else known.formulas()):
        theirs[formula].append(index)
    mine = [index for index, formula in enumerate(formulas) if formula in theirs]
    names = [formulas[index] for index in mine]
    parts = bundles(names)
    items = []
    for part in parts:
        wanted = {formulas[mine[i]] for i in part}
        rows = sorted(row for formula in wanted for row in theirs[formula])
        items.append((crystals.take([mine[i] for i in part]), [names[i] for i in part], known.take(rows)))
    found = (workers or Workers()).map(
        _held, items, lambda done, total: progress(done * len(formulas) // total), chunk=1
    )
    novel = [True] * len(formulas)
    for part, held in zip(parts, found, strict=True):
        for i, is_known in zip(part, held, strict=True):
            novel[mine[i]] = not is_known
    return Novelty(novel, [formula not in theirs for formula in formulas])


def _held(bundle: tuple[Crystals, list[str], Crystals | Fingerprint]) -> list[bool]:
    """Return which crystals of a bundle are among the known ones of their formulas."""
    crystals, formulas, known = bundle
    if isinstance(known, Fingerprint):
        return [known.holds(f, separations(primitive_structure(crystals, i))) for i, f in enumerate(formulas)]
    places: dict[str, list[int]] = defaultdict(list)
    for index, formula in enumerate(known.formulas()):
        places[formula].append(index)
    matcher, other = Matcher(crystals, describe(crystals)), Matcher(known, describe(known))
    return [matcher.first_match(i, other, places[f]) is not None for i, f in enumerate(formulas)]
