"""Crystals from CIF text: a fast path for plain P 1 files, pymatgen for everything else.

Most files of a dataset were written by a program, list every site and have the identity as their only
operation. Those need no symmetry and are read here a hundred times faster; whatever is not plainly of that
kind goes to pymatgen's parser.
"""

from __future__ import annotations

import re
import shlex
import warnings
from dataclasses import dataclass

import numpy as np

from ..crystals.batch import CrystalError, check_structure
from ..crystals.elements import NUMBER, SYMBOLS

_CELL = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
_CELL_LINE = re.compile(r"^_cell_(length_[abc]|angle_\w+)\s+([-+.\d]+)(?:\(\d+\))?\s*$", re.MULTILINE)
_OPERATIONS = ("_equiv_pos_as_xyz", "_operation_xyz")
_FORMULA = re.compile(r"^_chemical_formula_sum\s+['\"]?([A-Za-z0-9. ]+?)['\"]?\s*$", re.MULTILINE)
_IDENTITY = re.compile(r"^\s*(?:\d+\s+)?['\"]?\s*\+?x\s*,\s*\+?y\s*,\s*\+?z\s*['\"]?\s*$", re.IGNORECASE)
_AMOUNT = re.compile(r"^([A-Z][a-z]?)(\d*\.?\d*)$")
_SYMBOL = re.compile(r"^([A-Z][a-z]?)(?:\d*[+-]|0\+)?$")


@dataclass(frozen=True)
class Crystal:
    """One crystal: cell (3, 3) in Å with rows as vectors, frac (n, 3), numbers (n,)."""

    cell: np.ndarray
    frac: np.ndarray
    numbers: np.ndarray


def parse_plain(text: str) -> Crystal | None:
    """Return the crystal of a one-block P 1 CIF, or None where the file needs a full parser."""
    if len(re.findall(r"^data_", text, re.MULTILINE)) != 1:
        return None
    found = _CELL_LINE.findall(text)
    values = dict(found)
    if len(found) != 6 or set(values) != set(_CELL):
        return None
    loops = _loops(text.splitlines())
    if loops is None:
        return None
    operations = [rows for tags, rows in loops if any(tag.endswith(_OPERATIONS) for tag in tags)]
    sites = [loop for loop in loops if "_atom_site_fract_x" in loop[0]]
    if len(operations) != 1 or len(operations[0]) != 1 or not _IDENTITY.match(operations[0][0]) or len(sites) != 1:
        return None
    return _assemble([float(values[key]) for key in _CELL], *sites[0])


def _loops(lines: list[str]) -> list[tuple[list[str], list[str]]] | None:
    """Return (tags, rows) of every loop, None where the text is not one row a line."""
    loops: list[tuple[list[str], list[str]]] = []
    in_loop = False
    for line in lines:
        word = line.strip()
        if line.startswith(";"):
            return None  # text over several lines
        if not word or word.startswith("#"):
            continue
        if word.lower() == "loop_":
            loops.append(([], []))
            in_loop = True
        elif word.startswith("_"):
            if in_loop and not loops[-1][1]:
                loops[-1][0].append(word.lower())
            else:
                in_loop = False  # a single item, or one after a loop
        elif word.startswith("data_"):
            in_loop = False
        elif in_loop:
            loops[-1][1].append(word)
        elif len(word.split()) > 1:
            return None  # neither item nor row: a value on a line of its own, or damage
    return loops


def _assemble(parameters: list[float], tags: list[str], rows: list[str]) -> Crystal | None:
    """Return the crystal of an atom-site loop, or None where a row is not plain."""
    try:
        axes = [tags.index(f"_atom_site_fract_{axis}") for axis in "xyz"]
        kind = tags.index("_atom_site_type_symbol")
    except ValueError:
        return None
    occupancy = tags.index("_atom_site_occupancy") if "_atom_site_occupancy" in tags else None
    numbers, frac = [], []
    for row in rows:
        words = row.split() if "'" not in row and '"' not in row else shlex.split(row)
        if len(words) != len(tags):
            return None
        symbol = _SYMBOL.match(words[kind])
        if symbol is None or symbol.group(1) not in NUMBER:
            return None
        try:
            if occupancy is not None and float(words[occupancy]) != 1.0:
                return None
            frac.append([float(words[axis]) for axis in axes])
        except ValueError:
            return None
        numbers.append(NUMBER[symbol.group(1)])
    if not numbers or not np.isfinite(frac).all() or not np.isfinite(parameters).all():
        return None
    return Crystal(cell_from_parameters(*parameters), np.array(frac) % 1.0, np.array(numbers))


def cell_from_parameters(a: float, b: float, c: float, alpha: float, beta: float, gamma: float) -> np.ndarray:
    """Return the (3, 3) cell with a in the xz plane and c along z, as pymatgen sets it.

    :param a, b, c: Å.
    :param alpha, beta, gamma: degrees.
    :raises CrystalError: no cell has these lengths and angles.
    """
    cosines = np.cos(np.radians([alpha, beta, gamma]))
    sines = np.sin(np.radians([alpha, beta, gamma]))
    if min(a, b, c) <= 0 or min(abs(sines[0]), abs(sines[1])) < 1e-6:
        raise CrystalError(f"singular cell: lengths {a:g}, {b:g}, {c:g} Å, angles {alpha:g}, {beta:g}, {gamma:g}°")
    # the cosine of the angle between a* and b*
    star = (cosines[0] * cosines[1] - cosines[2]) / (sines[0] * sines[1])
    if abs(star) >= 1:
        raise CrystalError(f"singular cell: no cell has the angles {alpha:g}, {beta:g}, {gamma:g}°")
    return np.array([
        [a * sines[1], 0.0, a * cosines[1]],
        [-b * sines[0] * star, b * sines[0] * np.sqrt(1 - star**2), b * cosines[0]],
        [0.0, 0.0, c],
    ])  # fmt: skip


def parse_full(text: str) -> list[Crystal]:
    """Return the crystals of a CIF with pymatgen's parser, symmetry applied, one a data block.

    :raises CrystalError: empty, not readable, no crystal in it, or a crystal that is refused.
    """
    from pymatgen.io.cif import CifParser

    if not text.strip():
        raise CrystalError("empty CIF")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # parser notes on rounding; what matters is checked below
        try:
            # occupancies above 1 come from sites written twice; check_structure refuses partial ones
            structures = CifParser.from_str(text, occupancy_tolerance=1.0).parse_structures(primitive=False)
        except CrystalError:
            raise
        except Exception as exception:  # the parser raises whatever it stumbles over
            reason = " ".join(str(exception).split())[:160]
            raise CrystalError(f"unreadable CIF ({type(exception).__name__}: {reason})") from None
    crystals = []
    for structure in structures:
        if structure.volume < 1e-3:
            raise CrystalError(f"singular cell, volume {structure.volume:.3g} Å³")
        check_structure(structure, "CIF")
        numbers = np.array([site.specie.Z for site in structure])
        crystals.append(Crystal(structure.lattice.matrix, structure.frac_coords % 1.0, numbers))
    return crystals


def parse_cif(text: str) -> list[Crystal]:
    """Return the crystals of a CIF, one a data block.

    :raises CrystalError: with the reason, where there is none that can be used.
    """
    plain = parse_plain(text)
    crystals = [plain] if plain is not None else parse_full(text)
    stated = _FORMULA.findall(text)
    if len(crystals) == len(stated) == 1:
        check_formula(stated[0], crystals[0].numbers)
    return crystals


def check_formula(stated: str, numbers: np.ndarray) -> None:
    """Refuse sites that do not add up to the formula which the file states: it is cut off or incomplete.

    A formula that is not readable proves nothing and passes.

    :raises CrystalError: the ratios differ.
    """
    parts = [_AMOUNT.match(word) for word in stated.split()]
    amounts = {p.group(1): float(p.group(2) or 1) for p in parts if p is not None and p.group(1) in NUMBER}
    if len(amounts) != len(parts) or not amounts:
        return
    found = {SYMBOLS[z]: n for z, n in zip(*np.unique(numbers, return_counts=True), strict=True)}
    total, sites = sum(amounts.values()), len(numbers)
    if set(found) != set(amounts) or any(abs(found[s] / sites - n / total) > 0.01 for s, n in amounts.items()):
        listed = " ".join(f"{symbol}{n}" for symbol, n in found.items())
        raise CrystalError(f"the sites add up to {listed}, but the file states {stated}; it is cut off or incomplete")
