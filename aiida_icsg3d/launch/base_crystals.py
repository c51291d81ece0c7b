"""Crystals of files, to sample around."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from aiida.orm import StructureData

from icsg3d_models.crystals.batch import CrystalError
from icsg3d_models.data.readers import read_crystals_from

from ..parsers.rebuild import link_label


def read_base(paths: Sequence[Path], say: Callable[[str], None] = print) -> dict[str, StructureData]:
    """Return all crystals of files, by the name of each file.

    :param say: takes a sentence on what was assumed in reading them, or is not kept of them.
    :raises ValueError: a file that is not there, or one of whose crystals cannot be used.
    """
    found = {}
    for index, path in enumerate(paths):
        if not path.exists():
            raise ValueError(f"{path}: no such file")
        try:
            crystals = read_crystals_from(path, say)
        except CrystalError as exception:
            reason = str(exception).removeprefix(f"{path}: ")
            raise ValueError(f"{path}: no crystal can be read from it ({reason})") from None
        for name, structure in zip(crystals.ids, crystals.structures(), strict=True):
            label = path.stem if len(crystals) == 1 else f"{path.stem} {name}"
            found[link_label(f"base_{index + 1}_{label}")] = StructureData(pymatgen=structure, label=label)
    return found
