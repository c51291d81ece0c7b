"""Crystals of files, to sample around."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from itertools import count
from pathlib import Path

from aiida.orm import StructureData

from icsg3d_models.crystals.batch import CrystalError
from icsg3d_models.data.readers import read_crystals_from

from ..parsers.rebuild import link_label

LONGEST = 200  # letters of a link label; AiiDA takes 255, and a number is added


def read_base(paths: Sequence[Path], say: Callable[[str], None] = print) -> dict[str, StructureData]:
    """Return all crystals of files, by the name of each file.

    :param say: takes a sentence on what was assumed in reading them, or is not kept of them.
    :raises ValueError: a file that is not there, or one of whose crystals cannot be used.
    """
    found: dict[str, StructureData] = {}
    for index, path in enumerate(paths):
        if not path.exists():
            raise ValueError(f"{path}: no such file")
        if path.resolve() in {before.resolve() for before in paths[:index]}:
            raise ValueError(f"{path} is given twice; give each file once")
        try:
            crystals = read_crystals_from(path, say)
        except CrystalError as exception:
            reason = str(exception).removeprefix(f"{path}: ")
            raise ValueError(f"{path}: no crystal can be read from it ({reason})") from None
        for name, structure in zip(crystals.ids, crystals.structures(), strict=True):
            label = path.stem if len(crystals) == 1 else f"{path.stem} {name}"
            key = link_label_beside(f"base_{index + 1}_{label}", found)
            found[key] = StructureData(pymatgen=structure, label=label[:LONGEST])
    return found


def link_label_beside(name: str, others: Container[str]) -> str:
    """Return a link label that AiiDA takes and that no other has: `a b` and `a-b` would become one."""
    label = link_label(name)[:LONGEST]
    numbered = (f"{label}_{number}" for number in count(2))
    return label if label not in others else next(text for text in numbered if text not in others)
