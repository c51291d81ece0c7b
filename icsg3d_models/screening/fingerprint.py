"""The fingerprint of a training set: compositions and descriptions, by which novelty is judged without the data.

An HDF5 file of some hundred kilobytes; nothing in it gives the crystals back.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from ..crystals import CrystalError, Crystals
from .descriptors import RADII, SAME, SMEAR, Descriptors, describe, distances

FORMAT = "icsg3d-fingerprint"
FORMAT_VERSION = 1
FINGERPRINT_FILE = "fingerprint.h5"


class FingerprintError(CrystalError):
    """A fingerprint that cannot be used; the message names the file and what to do."""


@dataclass(frozen=True)
class Fingerprint:
    """Compositions and descriptions of a set of crystals.

    :param name: name of the data.
    :param by_formula: reduced formula -> (n, D) descriptions of its crystals.
    """

    name: str
    by_formula: dict[str, np.ndarray]

    def __len__(self) -> int:
        return sum(len(rows) for rows in self.by_formula.values())

    def knows(self, formula: str, description: np.ndarray) -> bool:
        """Tell whether the set holds this crystal, within what StructureMatcher would forgive."""
        rows = self.by_formula.get(formula)
        return rows is not None and bool((distances(description, rows) < SAME).any())


def fingerprint_of(crystals: Crystals, name: str, descriptors: Descriptors | None = None) -> Fingerprint:
    """Return the fingerprint of crystals with valid structures."""
    found = descriptors or describe(crystals)
    rows: dict[str, list[np.ndarray]] = defaultdict(list)
    for formula, values in zip(crystals.formulas(), found.values, strict=True):
        rows[formula].append(values)
    return Fingerprint(name, {formula: np.stack(values) for formula, values in rows.items()})


def write_fingerprint(path: str | Path, crystals: Crystals, name: str) -> None:
    """Write the fingerprint of a training set atomically."""
    path = Path(path)
    content = fingerprint_of(crystals, name).by_formula
    formulas = sorted(content)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with h5py.File(temporary, "w") as file:
        file.attrs.update(format=FORMAT, format_version=FORMAT_VERSION, name=name, radii=RADII, smear=SMEAR)
        flat = np.concatenate([content[f].ravel() for f in formulas]).astype(np.float16)
        options = {"compression": "gzip", "compression_opts": 9, "shuffle": True}
        file.create_dataset("formulas", data=np.array([f.encode() for f in formulas]), **options)
        file.create_dataset("shapes", data=np.array([content[f].shape for f in formulas], np.int32), **options)
        file.create_dataset("values", data=flat, **options)
    os.replace(temporary, path)


def read_fingerprint(path: str | Path) -> Fingerprint:
    """Read a fingerprint file.

    :raises FingerprintError: missing, foreign, damaged, or made by a release that describes crystals otherwise.
    """
    hint = "`icsg3d train` with network cgcnn writes one beside its model"
    if not Path(path).is_file():
        raise FingerprintError(f"{path}: no such fingerprint file; {hint}")
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != FORMAT:
                raise FingerprintError(f"{path}: an HDF5 file, but no fingerprint; {hint}")
            if int(file.attrs["format_version"]) > FORMAT_VERSION:
                raise FingerprintError(f"{path}: written by a newer release; upgrade aiida-icsg3d")
            if not np.array_equal(file.attrs["radii"], RADII) or float(file.attrs["smear"]) != SMEAR:
                raise FingerprintError(f"{path}: describes crystals in another way than this release; make it anew")
            formulas = [f.decode() for f in file["formulas"][()]]
            shapes, flat = file["shapes"][()], file["values"][()].astype(np.float32)
            parts = np.split(flat, np.cumsum(shapes.prod(axis=1))[:-1])
            content = {f: p.reshape(s) for f, p, s in zip(formulas, parts, shapes, strict=True)}
            return Fingerprint(str(file.attrs["name"]), content)
    except (OSError, KeyError, ValueError) as exception:
        if isinstance(exception, FingerprintError):
            raise
        raise FingerprintError(f"{path}: not readable as a fingerprint ({exception}); {hint}") from exception
