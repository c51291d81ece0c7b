"""Reference energies of competing phases: one table, one label, never mixed with another.

Two kinds of files are read. CSV: comment lines ``# label: ...``, ``# error: ...`` (eV/atom), ``# citation: ...``,
then a column ``formula`` and either ``formation_energy_per_atom`` or ``energy_per_atom`` (eV/atom); the latter
needs every element itself among the formulas. JSON: a list of pymatgen's ComputedEntry or ComputedStructureEntry
as dictionaries, or ``{"label": ..., "entries": [...]}``; their corrected energies are taken.
"""

from __future__ import annotations

import csv
import functools
import gzip
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from ..crystals.elements import NUMBER
from ..crystals.formulas import amounts_of

SHIPPED_PHASES = Path(__file__).with_name("competing_phases.csv.gz")
SHIPPED_ELEMENTS = Path(__file__).with_name("elements.csv")
LIMIT = 50.0  # eV/atom; beyond that a number is not an energy per atom in eV
_SYMBOL = re.compile(r"[A-Z][a-z]?")
_HEADER = re.compile(r"#\s*(label|error|citation)\s*:\s*(.+)")


class ReferencesError(ValueError):
    """Reference energies that cannot be used; the message names the file and what to do."""


@dataclass(frozen=True)
class References:
    """Phases with their formation energies on one scale.

    :param label: what the energies are comparable with: functional, corrections, settings.
    :param name: where they come from, for messages.
    :param formulas: P formulas.
    :param energies: (P,) formation energies, eV/atom.
    :param real: (P,) bool; False: a known height of the hull at a composition at which no phase of it is known.
    :param elements: symbol -> total energy of the element, eV/atom; empty where only formation energies are known.
    :param error: mean absolute error of the height of the hull, eV/atom; None where nobody measured it.
    """

    label: str
    name: str
    formulas: tuple[str, ...]
    energies: np.ndarray
    real: np.ndarray
    elements: Mapping[str, float] = field(default_factory=dict)
    error: float | None = None
    citation: str = ""

    @functools.cached_property
    def systems(self) -> dict[frozenset[str], list[int]]:
        """Chemical system -> the phases that hold exactly its elements."""
        found: dict[frozenset[str], list[int]] = {}
        for index, formula in enumerate(self.formulas):
            found.setdefault(frozenset(_SYMBOL.findall(formula)), []).append(index)
        return found

    @functools.cached_property
    def known_elements(self) -> frozenset[str]:
        """Elements of which something is known."""
        return frozenset(self.elements).union(*self.systems)

    def within(self, elements: Iterable[str]) -> Iterator[int]:
        """Yield the phases of the elements and of some of them."""
        symbols = sorted(set(elements))
        for size in range(1, len(symbols) + 1):
            for some in combinations(symbols, size):
                yield from self.systems.get(frozenset(some), ())

    def knows(self, formula: str) -> bool:
        """Tell whether a composition is among the formulas, in any multiple; known elements are."""
        amounts = amounts_of(formula)
        if len(amounts) == 1:
            return self.known_elements.issuperset(amounts)
        share = {symbol: n / sum(amounts.values()) for symbol, n in amounts.items()}
        for index in self.systems.get(frozenset(amounts), ()):
            other = amounts_of(self.formulas[index])
            total = sum(other.values())
            if all(abs(share[symbol] - n / total) < 1e-6 for symbol, n in other.items()):
                return True
        return False

    def formation_energy(self, amounts: Mapping[str, float], energy: float) -> float:
        """Return the formation energy in eV/atom of a total energy on the same scale.

        :param amounts: symbol -> number of atoms.
        :param energy: eV, of all these atoms.
        :raises ReferencesError: the energy of an element is not known.
        """
        missing = sorted(set(amounts) - set(self.elements), key=lambda s: NUMBER[s])
        if missing:
            raise ReferencesError(f"{self.name}: no reference energy of {', '.join(missing)}; give a table that has it")
        atoms = sum(amounts.values())
        return float(energy - sum(n * self.elements[symbol] for symbol, n in amounts.items())) / atoms


@functools.lru_cache(maxsize=1)
def shipped_references() -> References:
    """Return the references that come with the package (see README.md beside them)."""
    header, rows = _read_csv(SHIPPED_PHASES)
    _, elements = _read_csv(SHIPPED_ELEMENTS)
    return References(
        header["label"], "the table of the package",
        tuple(row["formula"] for row in rows),
        np.array([float(row["formation_energy_per_atom"]) for row in rows]),
        np.array([row["kind"] != "height" for row in rows]),
        {row["formula"]: float(row["energy_per_atom"]) for row in elements},
        float(header["error"]), header["citation"],
    )  # fmt: skip


def known_formulas() -> frozenset[str]:
    """Return the reduced formulas of Materials Project's calculations in the table of the package."""
    return frozenset(shipped_references().formulas)


def read_references(path: str | Path, label: str | None = None) -> References:
    """Read a file of reference energies.

    :param label: what the energies are comparable with, where the file does not say.
    :raises ReferencesError: missing, not readable, another label, no label, or an energy that is none.
    """
    path = Path(path)
    if not path.is_file():
        raise ReferencesError(f"{path}: no such file of reference energies")
    try:
        if ".json" in path.suffixes:
            header, total, formation = _read_json(path)
        else:
            header, total, formation = _columns(path, *_read_csv(path))
    except (OSError, UnicodeDecodeError, KeyError, TypeError, EOFError) as exception:
        reason = f"{type(exception).__name__}: {exception}"
        raise ReferencesError(f"{path}: not readable as reference energies ({reason})") from exception
    stated = header.get("label")
    if label is not None and stated is not None and label != stated:
        raise ReferencesError(f"{path}: its energies are labelled {stated!r}, not {label!r}; different ones never mix")
    if label is None and stated is None:
        raise ReferencesError(
            f"{path}: does not say what its energies are comparable with; give `references_label`, or write a first "
            "line `# label: ...` (in JSON a key `label`)"
        )
    try:
        error = float(header["error"]) if "error" in header else None
    except ValueError:
        raise ReferencesError(f"{path}: the error {header['error']!r} is no number") from None
    elements, formulas, energies = _join(path, total, formation)
    return References(
        str(label or stated), str(path), formulas, energies, np.ones(len(formulas), dtype=bool), elements, error,
        header.get("citation", ""),
    )  # fmt: skip


def _join(
    path: Path, total: list[tuple[str, float]], formation: list[tuple[str, float]]
) -> tuple[dict[str, float], tuple[str, ...], np.ndarray]:
    """Return element energies, formulas and formation energies (P,) of total and of formation energies."""
    amounts = {formula: _amounts(path, formula) for formula, _ in (*total, *formation)}
    for formula, energy in (*total, *formation):
        if not abs(energy) < LIMIT:
            raise ReferencesError(f"{path}: {formula} has {energy:g} eV/atom; an energy per atom in eV is needed")
    elements: dict[str, float] = {}
    for formula, energy in total:
        if len(amounts[formula]) == 1:
            symbol = next(iter(amounts[formula]))
            elements[symbol] = min(energy, elements.get(symbol, np.inf))
    rows = list(formation)
    for formula, energy in total:
        part = amounts[formula]
        missing = sorted(set(part) - set(elements))
        if missing:
            raise ReferencesError(
                f"{path}: {formula} has a total energy, but the elements {', '.join(missing)} are not in the file; "
                "add their energies, or give formation energies"
            )
        rows.append((formula, energy - sum(n * elements[s] for s, n in part.items()) / sum(part.values())))
    if not rows:
        raise ReferencesError(f"{path}: holds no phase")
    return elements, tuple(formula for formula, _ in rows), np.array([energy for _, energy in rows])


def _amounts(path: Path, formula: str) -> dict[str, float]:
    """Return the amounts of a formula."""
    try:
        amounts = amounts_of(formula)
    except ValueError as exception:
        raise ReferencesError(f"{path}: {exception}") from None
    if not amounts or set(amounts) - set(NUMBER):
        raise ReferencesError(f"{path}: {formula!r} is no formula of chemical elements")
    return amounts


def _read_csv(path: Path) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Return header and rows of a CSV file, gzipped or not."""
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")
    lines = text.splitlines()
    header: dict[str, str] = {}
    while lines and (lines[0].startswith("#") or not lines[0].strip()):
        found = _HEADER.match(lines.pop(0))
        if found:
            header[found.group(1)] = found.group(2).strip()
    return header, list(csv.DictReader(io.StringIO("\n".join(lines))))


def _columns(
    path: Path, header: dict[str, str], rows: list[dict[str, str]]
) -> tuple[dict[str, str], list[tuple[str, float]], list[tuple[str, float]]]:
    """Return header, total energies and formation energies of a CSV file."""
    names = ("energy_per_atom", "formation_energy_per_atom")
    columns = list(rows[0]) if rows else []
    found = [name for name in names if name in columns]
    if "formula" not in columns or len(found) != 1:
        raise ReferencesError(
            f"{path}: the columns {', '.join(map(str, columns)) or 'none'}; needed are `formula` and one of "
            f"{' or '.join(names)} (eV/atom)"
        )
    values: list[tuple[str, float]] = []
    for row in rows:
        try:
            values.append((row["formula"], float(row[found[0]])))
        except (TypeError, ValueError):
            raise ReferencesError(f"{path}: {row['formula']} has {found[0]} {row[found[0]]!r}, no number") from None
    return header, *((values, []) if found[0] == "energy_per_atom" else ([], values))


def _read_json(path: Path) -> tuple[dict[str, str], list[tuple[str, float]], list[tuple[str, float]]]:
    """Return header, total energies and no formation energies of a JSON file of computed entries."""
    from pymatgen.entries.computed_entries import ComputedEntry, ComputedStructureEntry

    raw = path.read_bytes()
    try:
        content: Any = json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
    except ValueError as exception:
        raise ReferencesError(f"{path}: not valid JSON ({exception})") from None
    listed = content.get("entries") if isinstance(content, dict) else content
    if not isinstance(listed, list):
        raise ReferencesError(f"{path}: a list of computed entries is needed, or a key `entries` that holds one")
    # named classes only: nothing that the file names is imported
    classes: dict[str, Any] = {"ComputedEntry": ComputedEntry, "ComputedStructureEntry": ComputedStructureEntry}
    total = []
    for number, item in enumerate(listed):
        kind = item.get("@class") if isinstance(item, dict) else type(item).__name__
        if kind not in classes:
            raise ReferencesError(f"{path}: entry {number} is a {kind}; accepted are {', '.join(classes)}")
        entry = classes[kind].from_dict(item)
        total.append((entry.composition.reduced_formula, float(entry.energy_per_atom)))
    header = {k: str(content[k]) for k in ("label", "error", "citation") if isinstance(content, dict) and k in content}
    return header, total, []
