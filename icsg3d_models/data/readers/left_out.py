"""What ASE leaves out of a file without a word: symmetry and occupancy of .res (SHELX) and .pdb."""

from __future__ import annotations

import re
from pathlib import Path, PurePath

from ...crystals.batch import CrystalError
from ..cif.sites import number
from .text import as_text, bare_name, unpack

_SITE = re.compile(r"^[A-Za-z]{1,2}\w*\s+\d+(\s+[-+.\d]+){3,}")
_FULL = (1.0, 11.0)  # 11: one, held fixed in a refinement


def refuse_left_out(path: Path) -> None:
    """Refuse a file whose sites are fewer, or less full, than what ASE would make of them.

    :raises CrystalError: with the line.
    """
    suffix = PurePath(bare_name(path.name)).suffix.lower()
    if suffix not in (".res", ".pdb"):
        return
    lines = as_text(unpack(path.read_bytes(), path.name)).splitlines()
    if suffix == ".res":
        _check_res(lines)
    else:
        for line in lines:
            if line.startswith("CRYST1") and line[55:66].strip() not in ("P 1", "P1", ""):
                raise CrystalError(f"the group {line[55:66].strip()} of a .pdb, which is not applied; give a CIF")


def _check_res(lines: list[str]) -> None:
    """Refuse symmetry (a lattice other than -1, SYMM) and sites that are not full.

    :raises CrystalError: with the line.
    """
    for line in lines:
        words = line.split()
        if words[:1] == ["SYMM"] or (words[:1] == ["LATT"] and words[1:2] != ["-1"]):
            raise CrystalError(f"symmetry in a .res ({line.strip()}), which is not applied; give a CIF")
        if _SITE.match(line) and len(words) > 5 and number(words[5]) not in _FULL:
            raise CrystalError(f"partial occupancy ({line.strip()[:60]}); give an ordered structure")
