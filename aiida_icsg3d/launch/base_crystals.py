"""Crystals of files, to sample around."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aiida.orm import StructureData

from ..parsers.rebuild import link_label


def read_base(paths: Sequence[Path]) -> dict[str, StructureData]:
    """Return the crystals of files, by the name of each file.

    :raises ValueError: a file that is not there, or that holds no crystal.
    """
    from pymatgen.core import Structure

    found = {}
    for index, path in enumerate(paths):
        try:
            structure = StructureData(pymatgen=Structure.from_file(path), label=path.stem)
        except FileNotFoundError:
            raise ValueError(f"{path}: no such file") from None
        except Exception as exception:  # whatever a parser of some format raises
            raise ValueError(f"{path}: no crystal can be read from it ({exception})") from None
        found[link_label(f"base_{index + 1}_{path.stem}")] = structure
    return found
