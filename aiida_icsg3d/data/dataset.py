"""A node that holds a dataset file: crystals, properties and a split by composition."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from aiida.common.exceptions import ValidationError
from aiida.orm import QueryBuilder, SinglefileData, StructureData
from aiida.orm.nodes.caching import NodeCaching

from icsg3d_models.crystals.elements import SYMBOLS
from icsg3d_models.data.datasets import PARTS, Dataset, DatasetError, read_dataset, split_by_group

from .source import Source, as_file
from .structures import crystals_of_nodes


class CrystalDatasetCaching(NodeCaching):
    """Two dataset nodes are the same where crystals, properties and split are."""

    def get_objects_to_hash(self) -> dict[str, Any]:
        """Return what decides the hash of the node."""
        return {"class": type(self._node).__name__, "content_hash": self._node.content_hash}


class CrystalDatasetData(SinglefileData):
    """A dataset file (HDF5), checked when it is set and again when the node is stored.

    Queryable attributes: ``content_hash``, ``name``, ``citation``, ``n_crystals``, ``elements``,
    ``properties`` (name -> unit) and ``parts`` (part of the split -> number of crystals).
    """

    DEFAULT_FILENAME = "dataset.h5"
    _CLS_NODE_CACHING = CrystalDatasetCaching

    def set_file(self, file: Source, filename: str | Path | None = None) -> None:
        """Take the content of a dataset file, given as a path or a binary stream.

        :raises icsg3d_models.data.datasets.DatasetError: no dataset, damaged, or changed after it was written.
        """
        with as_file(file, self.DEFAULT_FILENAME) as path:
            attributes = describe_dataset(path)
            super().set_file(str(path), filename=filename or self.DEFAULT_FILENAME)
        self.base.attributes.set_many(attributes)

    def _validate(self) -> bool:
        """Check that file and attributes belong together."""
        super()._validate()
        with self.as_path() as path:
            found = describe_dataset(path)
        stated = {key: self.base.attributes.get(key, None) for key in found}
        differing = sorted(key for key in found if found[key] != stated[key])
        if differing:
            raise ValidationError(
                f"the attributes {', '.join(differing)} are not those of the dataset file; "
                "change the file by `set_file` and leave the attributes alone"
            )
        return True

    @classmethod
    def get_or_create(cls, source: Source, filename: str | None = None) -> CrystalDatasetData:
        """Return the stored node with this content, storing it where it is not there yet."""
        node = cls(source, filename)
        query = QueryBuilder().append(cls, filters={"attributes.content_hash": node.content_hash})
        known = query.first(flat=True)
        return known if known is not None else node.store()

    @classmethod
    def from_structures(
        cls,
        structures: Mapping[str, StructureData],
        properties: Mapping[str, Sequence[float]] | None = None,
        units: Mapping[str, str] | None = None,
        name: str = "dataset",
        shares: tuple[float, float, float] = (0.9, 0.05, 0.05),
        seed: int = 0,
    ) -> CrystalDatasetData:
        """Build an unstored dataset from structures.

        :param structures: crystal id -> ordered structure.
        :param properties: name -> one value a structure, in the same order; NaN where missing.
        :param units: name -> unit.
        :param shares: of the training, validation and test parts; whole compositions go to one part.
        :raises icsg3d_models.crystals.batch.CrystalError: a structure that is more than elements on sites
            (partial occupancy, kinds of one element, Hubbard, not periodic), or a singular cell.
        """
        given = {key: np.asarray(values, dtype=np.float64) for key, values in (properties or {}).items()}
        wrong = {key: values.shape for key, values in given.items() if values.shape != (len(structures),)}
        if wrong:
            raise ValueError(f"{wrong}: give one value for each of the {len(structures)} structures")
        crystals = crystals_of_nodes(structures)
        split = split_by_group(crystals.formulas(), shares, seed)
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / cls.DEFAULT_FILENAME
            Dataset(crystals, given, split, dict(units or {}), name).write(path)
            return cls(path)

    @property
    def content_hash(self) -> str:
        """SHA-256 over crystals, properties and split."""
        return self.base.attributes.get("content_hash")

    @property
    def n_crystals(self) -> int:
        """Number of crystals."""
        return self.base.attributes.get("n_crystals")

    @property
    def elements(self) -> list[str]:
        """Chemical symbols in the dataset, by atomic number."""
        return self.base.attributes.get("elements")

    @property
    def properties(self) -> dict[str, str]:
        """Property name -> unit."""
        return self.base.attributes.get("properties")

    def get_dataset(self) -> Dataset:
        """Return the content as arrays."""
        with self.as_path() as path:
            return read_dataset(path)


def describe_dataset(path: Path) -> dict[str, Any]:
    """Return the queryable attributes of a dataset file, after checking it against the hash it states.

    :raises icsg3d_models.data.datasets.DatasetError: no dataset, damaged, or changed after it was written.
    """
    dataset = read_dataset(path)
    digest = dataset.content_hash()
    with h5py.File(path, "r") as file:
        stated = str(file.attrs.get("content_hash", ""))
    if stated != digest:
        raise DatasetError(
            f"{path.name}: the content has hash {digest[:12]}…, the file states {stated[:12] or 'none'}…; "
            "it was changed after it was written, build it again with `icsg3d prepare`"
        )
    return {
        "content_hash": digest,
        "name": dataset.name,
        "citation": dataset.citation,
        "n_crystals": len(dataset),
        "elements": [SYMBOLS[z] for z in np.unique(dataset.crystals.numbers)],
        "properties": {name: dataset.units.get(name, "") for name in sorted(dataset.properties)},
        "parts": {part: int((dataset.split == index).sum()) for index, part in enumerate(PARTS)},
    }
