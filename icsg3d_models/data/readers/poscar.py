"""POSCAR and CONTCAR of VASP."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...crystals.batch import CrystalError, check_structure
from ...crystals.elements import NUMBER
from ..crystal import Crystal, Refused

_MODES = tuple("cdk")  # Cartesian, Direct
_ELEMENT = re.compile(r"\s([A-Z][a-z]?)\s*$")
_ROW = re.compile(r"^\s*(?:[+-]?\d*\.?\d+(?:[eE][+-]?\d+)?(?:\s+|$)){3}")
_NAME = re.compile(r"(?:^|[\W_])(?:POSCAR|CONTCAR)(?:$|[\W_])|\.(?:vasp|poscar)$", re.IGNORECASE)


def is_poscar(name: str) -> bool:
    """Return whether a file is one by its name."""
    return bool(_NAME.search(name))


@dataclass(frozen=True)
class PoscarText:
    """A POSCAR that is parsed when called."""

    text: str

    def __call__(self) -> list[Crystal | Refused]:
        from pymatgen.io.vasp import Poscar

        lines = self.text.splitlines()
        if len(lines) < 8:
            raise CrystalError("unreadable POSCAR: it is cut off")
        symbols = lines[5].split()
        if not symbols or symbols[0][:1].isdigit():
            raise CrystalError("a POSCAR of VASP 4, without the line that names the elements; add it as line 6")
        plain = [re.split(r"[_/]", symbol)[0] for symbol in symbols]
        text = "\n".join([*lines[:5], " ".join(plain), *lines[6:]]) + "\n"
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # every warning of the parser is a guess at what was meant
            try:
                structure = Poscar.from_str(text, read_velocities=False).structure
            except Exception as exception:  # the parser raises whatever it stumbles over
                reason = " ".join(f"{type(exception).__name__}: {exception}".split())[:160]
                raise CrystalError(f"unreadable POSCAR ({reason})") from None
        check_structure(structure, "POSCAR")
        if [site.specie.symbol for site in structure[:1]] != plain[:1]:
            raise CrystalError(f"unreadable POSCAR: elements {' '.join(plain)} were not understood")
        _check_rows(lines, structure)
        numbers = np.array([site.specie.Z for site in structure])
        return [Crystal(structure.lattice.matrix, structure.frac_coords % 1.0, numbers)]


def _check_rows(lines: list[str], structure: Any) -> None:
    """Refuse what the parser passes over: rows of sites beyond those counted, and elements that contradict line 6.

    :raises CrystalError: with the row.
    """
    first = next(n for n, line in enumerate(lines[7:], 8) if line.strip()[:1].lower() in _MODES)
    rows = lines[first : first + len(structure)]
    for row, site in zip(rows, structure, strict=False):
        if (named := _ELEMENT.search(row)) and named[1] in NUMBER and named[1] != site.specie.symbol:
            raise CrystalError(f"the row {row.strip()!r} names {named[1]}; line 6 says {site.specie.symbol} there")
    after = lines[first + len(structure)] if first + len(structure) < len(lines) else ""
    if _ROW.match(after):
        raise CrystalError(f"{len(structure)} sites are counted, but the row {after.strip()!r} follows them")
