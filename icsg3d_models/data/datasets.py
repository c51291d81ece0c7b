"""The dataset file: crystals, properties, a split by composition and a content hash, in HDF5.

Layout: ``/crystals`` (see crystals.py), ``/properties/<name>`` (B,) float64 with a ``units`` attribute and NaN
where missing, and a ``fidelity`` (JSON, see fidelity.py) where it is in the name, ``/split`` (B,) uint8, and
attributes ``format``, ``format_version``, ``name``, ``citation``, ``content_hash``. Fields are not stored: computing
them is faster than reading them.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from ..crystals.batch import CrystalError, Crystals, read_crystals, write_crystals
from .fidelity import Fidelity

FORMAT = "icsg3d-dataset"
FORMAT_VERSION = 1
PARTS = ("train", "validation", "test")


class DatasetError(CrystalError):
    """A dataset file that cannot be used; the message names the file and what to do."""


@dataclass(frozen=True)
class Dataset:
    """Crystals with properties and a split.

    :param crystals: B crystals.
    :param properties: name -> (B,) float64, NaN where missing.
    :param units: name -> unit of the property.
    :param split: (B,) uint8, index into :data:`PARTS`.
    :param fidelities: property -> how its values were obtained, where that is in its name.
    """

    crystals: Crystals
    properties: dict[str, np.ndarray]
    split: np.ndarray
    units: dict[str, str] = field(default_factory=dict)
    name: str = "dataset"
    citation: str = ""
    fidelities: dict[str, Fidelity] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.crystals)

    def part(self, name: str) -> np.ndarray:
        """Return the indices of the crystals of one part of the split.

        :raises DatasetError: the part is empty.
        """
        indices = np.flatnonzero(self.split == PARTS.index(name))
        if len(indices) == 0:
            raise DatasetError(
                f"{self.name}: the {name} part is empty; prepare it with a larger share or more crystals"
            )
        return indices

    def values(self, name: str) -> np.ndarray:
        """Return one property of all crystals, (B,).

        :raises DatasetError: there is no such property.
        """
        if name not in self.properties:
            known = ", ".join(self.properties) or "none"
            raise DatasetError(f"{self.name}: no property {name!r}; the dataset has {known}")
        return self.properties[name]

    def content_hash(self) -> str:
        """Return a SHA-256 over crystals, properties and split; names of files and dates do not enter."""
        digest = hashlib.sha256()
        crystals = self.crystals
        arrays = [
            np.round(crystals.cell, 8),
            np.round(crystals.frac, 8),
            crystals.numbers,
            crystals.offsets,
            self.split,
        ]
        for array in arrays:
            digest.update(np.ascontiguousarray(array + np.zeros((), array.dtype)).tobytes())
        for name in sorted(self.properties):
            digest.update(name.encode() + np.ascontiguousarray(self.properties[name]).tobytes())
        return digest.hexdigest()

    def write(self, path: str | Path) -> str:
        """Write the file atomically and return its content hash."""
        path = Path(path)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        digest = self.content_hash()
        with h5py.File(temporary, "w", track_order=False) as file:
            file.attrs.update(
                format=FORMAT,
                format_version=FORMAT_VERSION,
                name=self.name,
                citation=self.citation,
                content_hash=digest,
            )
            write_crystals(file.create_group("crystals"), self.crystals)
            group = file.create_group("properties")
            for name, values in self.properties.items():
                entry = group.create_dataset(name, data=np.asarray(values, dtype=np.float64))
                entry.attrs.update(units=self.units.get(name, ""), dimensions="crystal")
                if name in self.fidelities:
                    entry.attrs["fidelity"] = json.dumps(self.fidelities[name].as_dict(), sort_keys=True)
            file.create_dataset("split", data=self.split.astype(np.uint8)).attrs["parts"] = ",".join(PARTS)
        os.replace(temporary, path)
        return digest


def read_dataset(path: str | Path) -> Dataset:
    """Read a dataset file.

    :raises DatasetError: missing, no HDF5, another program's, a newer version, or damaged.
    """
    hint = "build one with `icsg3d prepare`"
    if not Path(path).is_file():
        raise DatasetError(f"{path}: no such dataset file; {hint}")
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != FORMAT:
                raise DatasetError(f"{path}: an HDF5 file, but no icsg3d dataset; {hint}")
            if int(file.attrs["format_version"]) > FORMAT_VERSION:
                raise DatasetError(f"{path}: written by a newer release; upgrade aiida-icsg3d")
            group = file["properties"]
            return Dataset(
                read_crystals(file["crystals"]),
                {name: entry[()] for name, entry in group.items()},
                file["split"][()],
                {name: str(entry.attrs.get("units", "")) for name, entry in group.items()},
                str(file.attrs["name"]),
                str(file.attrs["citation"]),
                {
                    name: Fidelity.from_dict(json.loads(entry.attrs["fidelity"]))
                    for name, entry in group.items()
                    if "fidelity" in entry.attrs
                },
            )
    except (OSError, KeyError) as exception:
        raise DatasetError(f"{path}: not readable as a dataset ({exception}); copy it again or {hint}") from exception


def split_by_group(groups: list[str], shares: tuple[float, float, float], seed: int) -> np.ndarray:
    """Return a (B,) split in which all crystals of one group share a part.

    Groups are shuffled and dealt to the part that is furthest below its share, so small sets come
    out near their shares too. The group is the composition wherever there are several: a random split by crystal
    leaks, since Perov-5 holds the same composition with other site orders.

    :param groups: (B,) name of the group of each crystal.
    """
    unique, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(unique))
    goal = np.asarray(shares) * len(groups)
    filled = np.zeros(3)
    parts = np.zeros(len(unique), dtype=np.uint8)
    for index in order:
        part = int(np.argmax(goal - filled))
        parts[index] = part
        filled[part] += counts[index]
    return parts[inverse]
