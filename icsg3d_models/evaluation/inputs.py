"""What an evaluation reads: crystal files, parts of dataset files, flags of stability."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from ..crystals.batch import CrystalError, Crystals, read_crystals
from ..crystals.validity import unusable
from ..data.datasets import FORMAT, PARTS, read_dataset
from ..data.readers.table import read_table
from ..results import Report, StageError
from .metrics.site_fingerprints import crystal_key

FLAGS = {"true": True, "1": True, "false": False, "0": False}


def is_dataset(path: str | Path) -> bool:
    """Return whether a file is a dataset file, which has a split, and not a plain crystal file.

    :raises StageError: the file is missing.
    :raises CrystalError: the file is no HDF5.
    """
    if not Path(path).is_file():
        raise StageError("input_missing", f"{path}: no such file; give a crystal or dataset file (HDF5)")
    try:
        with h5py.File(path, "r") as file:
            return file.attrs.get("format") == FORMAT
    except OSError as exception:
        raise CrystalError(f"{path}: not readable as HDF5 ({exception}); write it again") from exception


def read_batch(path: str | Path, part: str = "all") -> Crystals:
    """Return the crystals of a crystal file, or of one part of a dataset file.

    :param part: ``train``, ``validation``, ``test`` or ``all``; a crystal file has no parts and gives all.
    :raises StageError: the file is missing, or names a crystal twice.
    :raises CrystalError: the file or the part is damaged, foreign or empty.
    """
    if is_dataset(path):
        dataset = read_dataset(path)
        crystals = dataset.crystals if part not in PARTS else dataset.crystals.take(dataset.part(part))
    else:
        with h5py.File(path, "r") as file:
            crystals = read_crystals(file.get("crystals", file))
    twice = [name for name, count in Counter(crystals.ids).items() if count > 1]
    if twice:
        raise StageError("input_incompatible", f"{path}: {some(twice)} are ids of several crystals; name each once")
    if len(crystals) == 0:
        raise StageError("input_incompatible", f"{path}: holds no crystal; there is nothing to compare")
    return crystals


def without_broken(crystals: Crystals, path: str, report: Report) -> Crystals:
    """Return the crystals that figures can be computed of; the others are named in the report and on the terminal.

    :raises StageError: none is left.
    """
    problems = unusable(crystals)
    kept = [index for index, problem in enumerate(problems) if problem is None]
    if not kept and len(crystals):
        raise StageError("input_unreadable", f"{path}: not one of {len(crystals)} crystals can be used: {problems[0]}")
    report.leave_out(path, len(crystals), dict(zip(crystals.ids, problems, strict=True)))
    return crystals.take(kept)


def named_by_order(crystals: Crystals, truth: Crystals) -> Crystals:
    """Return the crystals under the ids of their true ones: ``s000012`` gets the id of the true crystal 12, from 0.

    :param truth: the base crystals of `icsg3d sample` in mode `reconstruct`, in their order; one that was not
        rebuilt leaves its number out.
    :raises StageError: an id is no number of a sample, or there are not so many true crystals.
    """
    numbers = [re.fullmatch(r"s(\d{6,})", name) for name in crystals.ids]
    for name, number in zip(crystals.ids, numbers, strict=True):
        if number is None or int(number[1]) >= len(truth):
            raise StageError(
                "input_incompatible",
                f"{name!r} is no sample of {len(truth)} true crystals, which are s000000 to s{len(truth) - 1:06d}; "
                "give the part that was reconstructed, or pair by id",
            )
    return replace(crystals, ids=tuple(truth.ids[int(number[1])] for number in numbers if number))


def read_flags(path: str | Path, column: str, ids: tuple[str, ...], report: Report) -> np.ndarray:
    """Return a yes/no column of a table with a column ``id``, in the order of the ids, (B,) bool.

    A crystal without a row, or with an empty cell, is no (of a failed relaxation nobody knows that it is stable); how
    many have one is noted.

    :raises StageError: no such table, column or crystal; a value is none of true, false, 1, 0; two rows of a crystal
        differ; no row says anything.
    """
    path = Path(path)
    if not path.is_file():
        raise StageError("input_missing", f"{path}: no such table; give a CSV with columns id, {column}")
    flags: dict[str, bool] = {}
    with open(path, "rb") as stream:
        for row in read_table(stream, str(path), ["id", column]):
            if row.damage:
                raise StageError("input_unreadable", row.damage)
            name, word = row.cells["id"].strip(), row.cells[column].strip().lower()
            if not word:  # `icsg3d relax` writes it so where it could not tell
                continue
            if word not in FLAGS:
                what = f"{path}: {name} has {column} {row.cells[column]!r}; write true or false"
                raise StageError("input_incompatible", what)
            if flags.setdefault(name, FLAGS[word]) != FLAGS[word]:
                raise StageError("input_incompatible", f"{path}: two rows of {name} differ in {column}; keep one")
    known = [name for name in ids if name in flags]
    if not known:
        there = f"its ids are {some(list(flags))}" if flags else "none of its rows says true or false"
        raise StageError("input_incompatible", f"{path}: no row of one of the {len(ids)} crystals, which are "
                         f"{some(list(ids))}; {there}")  # fmt: skip
    if len(known) < len(ids) or len(known) < len(flags):
        report.warn(f"{path.name}: {len(known)} of {len(ids)} crystals have one of its {len(flags)} rows; "
                    "those without count as not stable")  # fmt: skip
    return np.array([flags.get(name, False) for name in ids], dtype=bool)


def some(names: Sequence[str]) -> str:
    """Return the first names, and whether there are more."""
    return ", ".join(map(repr, names[:3])) + (", ..." if len(names) > 3 else "")


def say_copies(crystals: Crystals, reference: Crystals, where: str, report: Report) -> None:
    """Warn where crystals are those that they are compared with, number for number: then nothing was made."""
    known = {crystal_key(reference.cell[i], *reference.sites(i)) for i in range(len(reference))}
    same = [name for i, name in enumerate(crystals.ids) if crystal_key(crystals.cell[i], *crystals.sites(i)) in known]
    if same:
        report.warn(f"{len(same)} of {len(crystals)} crystals are in {where} number for number ({some(same)}): is this "
                    "the file that was meant?")  # fmt: skip
