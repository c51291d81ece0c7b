"""Parser of the stage ``rebuild``."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
from aiida.orm import StructureData
from aiida.orm.nodes.data.structure import Kind

from icsg3d_models.crystals.batch import Crystals, read_crystals
from icsg3d_models.crystals.elements import SYMBOLS

from .base import StageParser


class RebuildParser(StageParser):
    """Make every rebuilt crystal a node."""

    def attach_outputs(self, results: dict[str, Any]) -> None:
        """Attach ``crystals.ID`` for every crystal."""
        attach_crystals(self, results)


def attach_crystals(parser: StageParser, results: dict[str, Any]) -> None:
    """Attach ``crystals.ID`` for every crystal of the retrieved file.

    :param results: of the rebuilding.
    :raises OutputError: the file is missing or cannot be used.
    """
    crystals = parser.read_output("crystals.h5", read_crystal_file)
    for name, node in structures(crystals, int(results["seed"])):
        parser.out(f"crystals.{name}", node)


def read_crystal_file(path: Path) -> Crystals:
    """Return the crystals of a file whose group ``crystals`` holds them.

    :raises icsg3d_models.crystals.batch.CrystalError: an array is missing or the lengths disagree.
    """
    with h5py.File(path, "r") as file:
        crystals = read_crystals(file["crystals"])
    names = [link_label(name) for name in crystals.ids]
    if len(set(names)) != len(names):
        raise ValueError("two crystals have the same id")
    return crystals


def link_label(name: str) -> str:
    """Return an id as a link label: letters, digits and single underscores, not at the ends."""
    return re.sub(r"[^0-9A-Za-z]+", "_", name).strip("_")


def structures(crystals: Crystals, seed: int) -> Iterator[tuple[str, StructureData]]:
    """Yield link label and unstored node of every crystal.

    Label ``FORMULA ID`` and the description, which names the seed, can be queried.
    """
    for index, formula in enumerate(crystals.formulas()):
        name = link_label(crystals.ids[index])
        frac, numbers = crystals.sites(index)
        cell = crystals.cell[index]
        node = StructureData(cell=cell.tolist())
        node.label = f"{formula} {name}"
        node.description = f"rebuilt from sample {name}, seed {seed}"
        symbols = [SYMBOLS[number] for number in numbers.tolist()]
        positions = (frac @ cell).tolist()
        # what `append_atom` makes, at once: it looks through all kinds, and asks the node, for every atom
        node.base.attributes.set("kinds", [kind(symbol) for symbol in dict.fromkeys(symbols)])
        node.base.attributes.set("sites", [{"kind_name": symbol, "position": tuple(position)}
                                           for symbol, position in zip(symbols, positions, strict=True)])  # fmt: skip
        yield name, node


def kind(symbol: str) -> dict[str, Any]:
    """Return the kind of an element as it stands in the attributes of a structure."""
    found: dict[str, Any] = dict(raw_kind(symbol))
    return found


@functools.cache
def raw_kind(symbol: str) -> dict[str, Any]:
    """Return the same, made once."""
    made: dict[str, Any] = Kind(symbols=symbol).get_raw()
    return made
