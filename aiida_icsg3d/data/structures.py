"""Structures of a profile become the records of a dataset: each keeps its UUID as its name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiida.orm import StructureData

from icsg3d_models.crystals.batch import CrystalError, Crystals
from icsg3d_models.crystals.elements import NUMBER
from icsg3d_models.data.crystal import Crystal, Refused, check_crystal
from icsg3d_models.data.readers import Found, Record
from icsg3d_models.data.readers.table import meant
from icsg3d_models.results import StageError


@dataclass(frozen=True)
class StructureNode:
    """A structure that is taken from its node when called."""

    node: StructureData = field(repr=False)

    def __call__(self) -> list[Crystal | Refused]:
        return [crystal_of_node(self.node)]


def crystal_of_node(node: StructureData) -> Crystal:
    """Return the crystal of a structure.

    :raises CrystalError: more than elements on sites: partial occupancy, kinds of one element, Hubbard, not periodic.
    """
    if not all(node.pbc):
        raise CrystalError("not periodic in three directions")
    if getattr(node, "hubbard", None) is not None and node.hubbard.parameters:
        raise CrystalError("Hubbard parameters, which would be lost; give the structure without them")
    symbols = {}
    for kind in node.kinds:
        if len(kind.symbols) != 1 or kind.has_vacancies:
            raise CrystalError(f"partial occupancy (kind {kind.name}); give an ordered structure")
        if kind.symbol not in NUMBER:
            raise CrystalError(f"{kind.symbol} of kind {kind.name} is no chemical element")
        symbols[kind.name] = kind.symbol
    if several := [symbol for symbol, count in Counter(symbols.values()).items() if count > 1]:
        names = ", ".join(name for name, symbol in symbols.items() if symbol in several)
        raise CrystalError(f"kinds {names} of one element, which would become one; give one kind an element")
    cell = np.array(node.cell)
    if abs(np.linalg.det(cell)) < 1e-3:
        raise CrystalError(f"singular cell, volume {abs(np.linalg.det(cell)):.3g} Å³")
    positions = np.array([site.position for site in node.sites]).reshape(-1, 3)
    numbers = np.array([NUMBER[symbols[site.kind_name]] for site in node.sites])
    return Crystal(cell, positions @ np.linalg.inv(cell) % 1.0, numbers)


def crystals_of_nodes(nodes: Mapping[str, StructureData]) -> Crystals:
    """Return a batch of the structures, in their order, under the names given.

    :raises CrystalError: as of :func:`crystal_of_node`, with the name.
    """
    found = []
    for name, node in nodes.items():
        try:
            found.append(crystal_of_node(node))
            check_crystal(found[-1])
        except CrystalError as exception:
            raise CrystalError(f"{name}: {exception}") from None
    return Crystals.from_arrays(
        [crystal.cell for crystal in found],
        [crystal.frac for crystal in found],
        [crystal.numbers for crystal in found],
        list(nodes),
    )


def records_of(nodes: Iterable[Any], columns: Mapping[str, str]) -> Found:
    """Return the records of structures, such as of a group or a query.

    :param columns: property -> key of the extras, or else the attributes, of each node.
    :raises StageError: there are none, or no node has a key that is asked for.
    """
    records, others = [], Counter[str]()
    known: Counter[str] = Counter()
    for node in nodes:
        if not isinstance(node, StructureData):
            others[type(node).__name__] += 1
            continue
        values = {**node.base.attributes.all, **node.base.extras.all}
        values = {key: value for key, value in values.items() if isinstance(value, int | float | str)}
        known.update(values)
        chosen = {name: values.get(key) for name, key in columns.items()}
        records.append(Record(str(node.uuid), StructureNode(node), chosen))
    if not records:
        raise StageError("input_missing", "no structures (StructureData) among the nodes"
                         + (f"; they are {', '.join(others)}" if others else ""))  # fmt: skip
    if missing := [key for key in columns.values() if not known[key]]:
        raise StageError("input_incompatible", f"no structure has {', '.join(missing)} in its extras or attributes; "
                         f"there are {', '.join(sorted(known)[:40]) or 'none'}{meant(missing, known)}")  # fmt: skip
    notes = [f"{count} nodes are {name}, no structures, and were passed over" for name, count in others.items()]
    return Found(records, notes)
