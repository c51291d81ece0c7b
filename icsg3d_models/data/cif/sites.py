"""The atom sites of a CIF block: elements, coordinates, occupancy; what is no ordered site is refused by name."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import gemmi
import numpy as np

from ...crystals.batch import CrystalError
from ...crystals.elements import NUMBER
from .blocks import Block

_AXES = tuple(f"_atom_site_fract_{axis}" for axis in "xyz")
_TYPE = re.compile(r"^([A-Za-z]{1,2})(?:\d*\.?\d*[+-]|[+-]\d*\.?\d*|0|\d+)?$")
_LETTERS = re.compile(r"^[A-Za-z]+")
_FRACTION = re.compile(r"^([+-]?\d+)/(\d+)$")
_SHARES = re.compile(r"[A-Za-z]\d*\.\d+[A-Za-z]")  # Nb0.5Zr0.5
_DIGITS = re.compile(r"\.(\d+)")
_GROUPS = {"HO", "CO", "NO", "CN"}  # as a type these are an element or a hydroxyl, carbonyl, nitrosyl, cyanide
_ISOTOPE = re.compile(r"^[DT](?![a-z])")
_FULL = 1e-3  # an occupancy nearer to 1 than this is rounded
_UNKNOWN = ("", "?")


@dataclass(frozen=True)
class Sites:
    """The listed sites, before symmetry is applied.

    :param frac: (n, 3) fractional coordinates.
    :param rounding: half a unit of the last digit that the file writes anywhere; trailing zeros are often left out.
    :param isotopes: deuterium or tritium is among them, which is hydrogen from here on.
    """

    labels: list[str]
    numbers: np.ndarray
    frac: np.ndarray
    rounding: float
    isotopes: bool = False


def read_sites(block: Block, stated: dict[str, float]) -> Sites:
    """Return the sites of a block.

    :param stated: element -> amount of the formula that the file states; decides what an unclear label means.
    :raises CrystalError: no sites, one without element or coordinates, partial occupancy or disorder.
    """
    columns = [block.column(tag) for tag in _AXES]
    if any(column is None for column in columns):
        if any(tag.startswith("_atom_site_cartn") for tag in block.columns):
            raise CrystalError("only cartesian coordinates (_atom_site_Cartn_x); fractional ones are needed")
        raise CrystalError("no atom sites with fractional coordinates; the file is cut off or incomplete")
    x, y, z = (column for column in columns if column is not None)
    types, labels = block.column("_atom_site_type_symbol"), block.column("_atom_site_label")
    if types is None and labels is None:
        raise CrystalError("neither _atom_site_type_symbol nor _atom_site_label: the elements are unknown")
    names = labels or types or []
    occupancies = block.column("_atom_site_occupancy")
    lengths = {len(c) for c in (x, y, z, types, labels, occupancies) if c is not None}
    if len(lengths) != 1:
        raise CrystalError("the columns of the atom sites have different lengths; they belong in one loop")
    if not names:
        raise CrystalError("no sites; a crystal needs at least one atom")
    _refuse_disorder(block, names)
    for name, text in zip(names, occupancies or (), strict=bool(occupancies)):
        _check_occupancy(name, text)
    numbers = [
        element_of(types[i] if types else "", labels[i] if labels else "", stated) for i in range(len(names))
    ]  # fmt: skip
    values = [
        [_coordinate(text, name) for text in row] for name, row in zip(names, zip(x, y, z, strict=True), strict=True)
    ]
    digits = max((len(found[1]) for text in (*x, *y, *z) if (found := _DIGITS.search(text))), default=0)
    isotopes = any(_ISOTOPE.match(text.strip()) for text in types or labels or ())
    return Sites(names, np.array(numbers), np.array(values), 0.5 * 10.0**-digits if digits > 1 else 0.0, isotopes)


def _refuse_disorder(block: Block, names: list[str]) -> None:
    """Refuse disorder groups, dummies, moments and hydrogens that are only counted.

    :raises CrystalError: there are some.
    """
    for tag in ("_atom_site_disorder_group", "_atom_site_disorder_assembly"):
        for name, value in zip(names, block.column(tag) or (), strict=False):
            if value.strip() not in ("", ".", "?", "0"):
                raise CrystalError(f"site {name} is disordered ({tag} {value}); give an ordered structure")
    for name, value in zip(names, block.column("_atom_site_calc_flag") or (), strict=False):
        if value.strip().lower() in ("dum", "dummy"):
            raise CrystalError(f"site {name} is a dummy (_atom_site_calc_flag {value}), no atom; take it out")
    for name, value in zip(names, block.column("_atom_site_attached_hydrogens") or (), strict=False):
        if value.strip() not in ("", ".", "?", "0"):
            raise CrystalError(f"site {name} has {value} hydrogen atoms that are counted but not listed")
    for axis in ("crystalaxis_x", "crystalaxis_y", "crystalaxis_z", "cartn_x", "cartn_y", "cartn_z"):
        for value in block.column(f"_atom_site_moment_{axis}") or ():
            if abs(gemmi.cif.as_number(value, 0.0)) > 0:
                raise CrystalError("magnetic moments, which a dataset cannot keep; give the structure without them")


def _check_occupancy(name: str, text: str) -> None:
    """Refuse a site that is not fully occupied; `.` is the default of the dictionary, 1.

    :raises CrystalError: with the reason.
    """
    if text.strip() == ".":
        return
    if text.strip() in _UNKNOWN:
        raise CrystalError(f"the occupancy of site {name} is unknown ('?'); write 1 where it is full")
    value = gemmi.cif.as_number(text)
    if not np.isfinite(value):
        raise CrystalError(f"the occupancy of site {name} is {text[:20]!r}, which is no number")
    if value > 1 + _FULL:
        raise CrystalError(f"the occupancy of site {name} is {value:g}, more than 1")
    if value < 1 - _FULL:
        raise CrystalError(f"partial occupancy ({name}: {value:g}); give an ordered structure (every site one element)")


def _coordinate(text: str, name: str) -> float:
    """Return a coordinate.

    :raises CrystalError: unknown or no number.
    """
    if text.strip() in ("", ".", "?"):
        raise CrystalError(f"a coordinate of site {name} is unknown ({text!r})")
    if fraction := _FRACTION.match(text):
        return int(fraction[1]) / max(int(fraction[2]), 1)
    value = number(text)
    if not np.isfinite(value):
        raise CrystalError(f"unreadable CIF: a coordinate of site {name} is {text[:20]!r}, which is no number")
    return value


def number(text: str) -> float:
    """Return a number of a CIF without its uncertainty, NaN where it is none."""
    if "_" in text:
        return math.nan  # Python takes 1_000 for a number
    try:
        return float(text)  # first: it rounds correctly to the last bit
    except ValueError:
        return gemmi.cif.as_number(text)


def element_of(kind: str, label: str, stated: dict[str, float]) -> int:
    """Return the atomic number of a site.

    :param kind: its type symbol; the label counts where that is missing.
    :raises CrystalError: no element, several, or unclear which.
    """
    for text in (kind, label):
        if "/" in text or "," in text or _SHARES.search(text):
            raise CrystalError(
                f"site {label or kind} names several elements: mixed occupancy; give an ordered structure"
            )
    if kind.strip() not in ("", ".", "?"):
        match = _TYPE.match(kind.strip())
        symbol = _named(match[1]) if match else None
        if symbol is None:
            raise CrystalError(f"type {kind!r} of site {label or kind} is no chemical element")
        if match is not None and match[1] in _GROUPS and symbol not in stated:
            raise CrystalError(f"type {kind!r} of site {label or kind} is ambiguous: an element, or a group of atoms")
        return NUMBER[symbol]
    candidates = _of_label(label, known=bool(stated))
    if len(candidates) > 1 and stated:
        candidates = [symbol for symbol in candidates if symbol in stated] or candidates
    if len(candidates) > 1:
        raise CrystalError(
            f"label {label} without type symbol is ambiguous ({' or '.join(candidates)}); add _atom_site_type_symbol"
        )
    if not candidates or (stated and candidates[0] not in stated):
        raise CrystalError(f"label {label} without type symbol names no chemical element of the file")
    return NUMBER[candidates[0]]


def _of_label(label: str, known: bool) -> list[str]:
    """Return the elements that a label may begin with.

    :param known: the formula is stated, so that a wrong guess is found out.
    """
    found = _LETTERS.match(label)
    letters = found[0] if found else ""
    if len(letters) == 1:
        return [s for s in [_named(letters)] if s]
    two = _named(letters[:2]) if letters else None
    if len(letters) == 2 and letters[1].islower():
        # written as an element is: Ca, never C of the alpha position; Ow and Oh are oxygen
        return [two] if two else [letters[0]] if letters[0] in "OH" else []
    if letters[1:].isupper() and (len(letters) == 2 or known):  # CA, HO, OW; WAT and VAC only beside a formula
        return list(dict.fromkeys(s for s in (_named(letters[0]), two) if s))
    if len(letters) > 2 and letters[2:].isupper() and two:  # FeA, CaB
        return [two]
    return []  # Wat, Dum


def _named(letters: str) -> str | None:
    """Return the symbol of an element; deuterium and tritium are hydrogen."""
    symbol = letters.capitalize()
    return "H" if symbol in ("D", "T") else symbol if symbol in NUMBER else None
