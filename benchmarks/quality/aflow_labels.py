"""Tell DFT from DFT+U in AFLOW's total enthalpies: two properties in place of one that means two things.

AFLOW adds a Hubbard U to every calculation that holds one of the elements below, which shifts the total enthalpy by
up to an eV an atom. The path of an entry says so in the library of prototypes (``LDAU``), and is silent in the
library of the ICSD, where the same rule holds: BaTiO3 has the enthalpy of DFT+U there, 0.56 eV/atom above plain DFT.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

# After Calderon et al., Comput. Mater. Sci. 108, 233 (2015), 10.1016/j.commatsci.2015.07.019; not compared with its
# tables entry by entry. How often the list contradicts the paths that do name the scheme stands on the page.
WITH_U = frozenset(
    (
        *("Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga"),
        *("Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd", "In", "Sn"),
        *("Ta", "W", "Re", "Os", "Ir", "Pt", "Au"),
        *("La", "Ce", "Pr", "Nd", "Sm", "Eu", "Gd", "Tm", "Yb", "Lu", "Th", "U"),
    )
)
SILENT = "ICSD_WEB"  # the library whose paths do not name the functional


def scheme(source: str, symbols: set[str]) -> tuple[str, str]:
    """Return ``dft`` or ``dft_u``, and whether the ``path`` or the ``elements`` say so.

    :param source: path of the entry in AFLOW.
    :param symbols: the elements of the crystal.
    """
    if SILENT in source:
        return ("dft_u" if symbols & WITH_U else "dft"), "elements"
    return ("dft_u" if "LDAU" in source.rpartition(":")[2] else "dft"), "path"


def label(source: Path, target: Path) -> Counter[str]:
    """Copy an extxyz file with the enthalpy under ``enthalpy_dft`` or ``enthalpy_dft_u``.

    :param source: frames with ``enthalpy_atom`` (eV/atom) and ``source``, the path in AFLOW.
    :return: how many frames each of the two was said by path and by elements, and in how many of those said by the
        path the elements would have said otherwise.
    :raises SystemExit: a frame without one of the two keys.
    """
    lines = source.read_text(encoding="utf-8").splitlines()
    counts: Counter[str] = Counter()
    start = 0
    while start < len(lines) and lines[start].strip():
        end = start + int(lines[start]) + 2
        header = lines[start + 1]
        found = {key: re.search(rf"\b{key}=(\S+)", header) for key in ("enthalpy_atom", "source")}
        if missing := [key for key, match in found.items() if match is None]:
            raise SystemExit(f"{source}: line {start + 2} has no {', '.join(missing)}")
        enthalpy, path = (match.group(1) for match in found.values() if match is not None)
        symbols = {line.split()[0] for line in lines[start + 2 : end]}
        name, said_by = scheme(path, symbols)
        lines[start + 1] = f"{header} enthalpy_{name}={enthalpy}"
        counts[f"{name}, by {said_by}"] += 1
        if said_by == "path":
            counts["path against elements"] += (name == "dft_u") != bool(symbols & WITH_U)
        start = end
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return counts
