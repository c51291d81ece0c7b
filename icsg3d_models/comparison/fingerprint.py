"""The fingerprint of a training set: formulas and pair distances, by which novelty is judged without the data.

For each crystal the reduced formula, the number of sites of the primitive cell, and sorted distances by pair of
species, in units of (V/N)^(1/3) and rounded to 0.013 (see ``pair_distances``): no cell, no coordinates, no volume,
no properties, no names, no order. 3,408 perovskites take 87 kB.

Novelty judged by it agrees with StructureMatcher(ltol=0.2, stol=0.3, angle_tol=5) for 99.3 % of 2,000 mixed
candidates made from the half of Perov-5 where the tolerance was not chosen: 99.6 % with A and B exchanged, 100 %
displaced by up to 0.1 (V/N)^(1/3), 98.0 % by up to 0.2, where one in four is beyond what StructureMatcher
forgives (`python benchmarks/quality/novelty_agreement.py dataset.h5 --pairs 250`).

This is no encryption. Formulas are plain, and who guesses a crystal can test the guess and, where it is close,
improve it by the distances, up to the scale. Do not pass on the fingerprint of crystals that must stay secret.
"""

from __future__ import annotations

import functools
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from ..crystals.batch import CrystalError, Crystals
from ..crystals.elements import NUMBER
from ..crystals.formulas import whole_amounts
from .displacement import TOLERANCE, same_crystal
from .matching import primitive_structure
from .pair_distances import NEIGHBOURS, OWN, REACH, Separations, list_lengths, separations

FORMAT = "icsg3d-fingerprint"
FORMAT_VERSION = 2
FINGERPRINT_FILE = "fingerprint.h5"
HINT = "`icsg3d train` with network cgcnn writes one beside its model"
_RECIPE = {"reach": REACH, "neighbours": NEIGHBOURS, "own": OWN}


class FingerprintError(CrystalError):
    """A fingerprint that cannot be used; the message names the file and what to do."""


@dataclass(frozen=True)
class Fingerprint:
    """Formulas and pair distances of a training set of B crystals.

    :param name: name of the data.
    :param formulas: B reduced formulas, sorted.
    :param sites: (B,) number of sites of the primitive cells.
    :param lists: B arrays uint8 of sorted distances, in steps of 1/255 of the reach.
    """

    name: str
    formulas: tuple[str, ...]
    sites: np.ndarray
    lists: tuple[np.ndarray, ...]
    _rows: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list), init=False, repr=False)

    def __post_init__(self) -> None:
        for row, formula in enumerate(self.formulas):
            self._rows[formula].append(row)

    def __len__(self) -> int:
        return len(self.formulas)

    def take(self, rows: Sequence[int]) -> Fingerprint:
        """Return the fingerprint of some of the crystals, in the order given."""
        lists = tuple(self.lists[row] for row in rows)
        return Fingerprint(self.name, tuple(self.formulas[row] for row in rows), self.sites[list(rows)], lists)

    def has_formula(self, formula: str) -> bool:
        """Tell whether a crystal of this reduced formula is there."""
        return formula in self._rows

    def holds(self, formula: str, crystal: Separations, tolerance: float = TOLERANCE) -> bool:
        """Tell whether the crystal is there, as StructureMatcher would judge.

        :param formula: its reduced formula.
        :param tolerance: root mean square difference of distances that are taken for the same.
        """
        rows = [row for row in self._rows.get(formula, []) if self.sites[row] == crystal.sites]
        return any(same_crystal(crystal, self.lists[row] * (REACH / 255), tolerance) for row in rows)


def fingerprint_of(crystals: Crystals, name: str) -> Fingerprint:
    """Return the fingerprint of crystals with valid structures."""
    rows = []
    for index, formula in enumerate(crystals.formulas()):
        found = separations(primitive_structure(crystals, index))
        rows.append((formula, found.sites, np.rint(found.lists() * (255 / REACH)).astype(np.uint8)))
    rows.sort(key=lambda row: (row[0], row[1], row[2].tobytes()))
    formulas, sites, lists = zip(*rows, strict=True) if rows else ((), (), ())
    return Fingerprint(name, formulas, np.array(sites, dtype=np.int64), lists)


def joined(one: Fingerprint, other: Fingerprint) -> Fingerprint:
    """Return the fingerprint of two sets; what is in both stands there twice."""
    formulas, lists = [*one.formulas, *other.formulas], [*one.lists, *other.lists]
    sites = np.concatenate([one.sites, other.sites])
    order = sorted(range(len(formulas)), key=lambda row: (formulas[row], sites[row], lists[row].tobytes()))
    name = f"{one.name} and {other.name}"
    return Fingerprint(name, tuple(formulas[row] for row in order), sites[order], tuple(lists[row] for row in order))


def write_fingerprint(path: str | Path, crystals: Crystals, name: str) -> None:
    """Write the fingerprint of a training set atomically."""
    save_fingerprint(path, fingerprint_of(crystals, name))


def save_fingerprint(path: str | Path, content: Fingerprint) -> None:
    """Write a fingerprint atomically."""
    path = Path(path)
    arrays = {
        "formulas": np.array([formula.encode() for formula in content.formulas], dtype="S"),
        "sites": content.sites.astype(np.uint16),
        "distances": np.concatenate([np.zeros(0, np.uint8), *content.lists]),
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with h5py.File(temporary, "w") as file:
        file.attrs.update(format=FORMAT, format_version=FORMAT_VERSION, name=content.name, **_RECIPE)
        for key, array in arrays.items():
            file.create_dataset(key, data=array, compression="gzip", compression_opts=9, chunks=True)
    os.replace(temporary, path)


def read_fingerprint(path: str | Path) -> Fingerprint:
    """Read a fingerprint file.

    :raises FingerprintError: missing, foreign, damaged, of another release, or made with other lists.
    """
    if not Path(path).is_file():
        raise FingerprintError(f"{path}: no such fingerprint file; {HINT}")
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != FORMAT:
                raise FingerprintError(f"{path}: an HDF5 file, but no fingerprint; {HINT}")
            _check_version(path, file)
            name = str(file.attrs["name"])
            formulas = tuple(formula.decode() for formula in file["formulas"][()])
            sites = file["sites"][()].astype(np.int64)
            distances = file["distances"][()].astype(np.uint8)
        ends = np.cumsum([_lists_length(*row) for row in zip(formulas, sites, strict=True)], dtype=np.int64)
    except (OSError, KeyError, TypeError, ValueError) as exception:
        if isinstance(exception, FingerprintError):
            raise
        raise FingerprintError(f"{path}: not readable as a fingerprint ({exception}); {HINT}") from exception
    if len(distances) != (ends[-1] if len(ends) else 0):
        raise FingerprintError(f"{path}: lengths disagree; the file is damaged; {HINT}")
    return Fingerprint(name, formulas, sites, tuple(np.split(distances, ends[:-1])) if len(ends) else ())


def _check_version(path: str | Path, file: h5py.File) -> None:
    """Refuse a file of another format version or with lists made otherwise."""
    version = int(file.attrs["format_version"])
    if version > FORMAT_VERSION:
        raise FingerprintError(f"{path}: written by a newer release; upgrade aiida-icsg3d")
    if version < FORMAT_VERSION:
        raise FingerprintError(
            f"{path}: fingerprint of format {version}, which held the crystals themselves; this release reads "
            f"format {FORMAT_VERSION}; make it anew: {HINT}"
        )
    for key, value in _RECIPE.items():
        if float(file.attrs[key]) != value:
            raise FingerprintError(
                f"{path}: made with {key} {file.attrs[key]}, this release with {value}; make it anew: {HINT}"
            )


def _lists_length(formula: str, sites: int) -> int:
    """Return how many distances a crystal of this formula and number of sites has.

    :raises ValueError: they do not go together.
    """
    contents = whole_amounts(formula)
    whole = sum(contents.values())
    amounts = [contents[symbol] * sites for symbol in sorted(contents, key=NUMBER.__getitem__)]
    if sites < 1 or any(amount % whole for amount in amounts):
        raise ValueError(f"{sites} sites do not make {formula!r}")
    return _total_length(tuple(amount // whole for amount in amounts))


@functools.cache
def _total_length(amounts: tuple[int, ...]) -> int:
    """Return the same by the amounts of the elements, by atomic number."""
    return int(list_lengths(np.array(amounts, dtype=np.int64)).sum())
