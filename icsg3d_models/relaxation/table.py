"""The table relax.csv: its columns, written and read here and nowhere else. No torch."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

_TRUTH = {"true": True, "false": False}


class Column(NamedTuple):
    """One column: how its cells are typed, its unit, and what it holds."""

    type: type
    unit: str
    help: str


COLUMNS: dict[str, Column] = {
    "id": Column(str, "", "name of the crystal"),
    "formula": Column(str, "", "reduced formula"),
    "n_sites": Column(int, "", "atoms in the cell"),
    "status": Column(str, "", "relaxed, not_converged, blown_up, unknown_element, not_valid or failed"),
    "potential": Column(str, "", "that relaxed it"),
    "energy": Column(float, "eV", "of the cell, as the potential gives it"),
    "energy_per_atom": Column(float, "eV/atom", "the same an atom"),
    "steps": Column(int, "", "of the optimiser"),
    "converged": Column(bool, "", "forces below `fmax`"),
    "fmax": Column(float, "eV/angstrom", "largest force left"),
    "pressure": Column(float, "GPa", "left"),
    "volume": Column(float, "angstrom^3", "of the relaxed cell"),
    "volume_change": Column(float, "%", "from the generated to the relaxed cell"),
    "rmsd": Column(float, "angstrom", "generated to relaxed, MatterGen's definition"),
    "left_prototype": Column(bool, "", "no longer the same crystal by StructureMatcher"),
    "spacegroup_before": Column(int, "", "number, of the generated crystal"),
    "spacegroup_after": Column(int, "", "number, of the relaxed crystal"),
    "symmetry": Column(str, "", "kept, gained, lost or changed"),
    "estimated_formation_energy_per_atom": Column(float, "eV/atom", "estimate by the potential"),
    "estimated_e_above_hull": Column(float, "eV/atom", "estimate against the reference hull; negative: below it"),
    "stable": Column(bool, "", "estimate at most `stable_within` above the hull"),
    "decomposition": Column(str, "", "competing phases, by fraction of the atoms"),
    "known_formula": Column(bool, "", "the reference hull has this formula"),
    "spread": Column(float, "eV/atom", "difference of the formation energies by two potentials"),
    "dynamically_stable": Column(bool, "", "no imaginary mode among those that were looked at"),
    "lowest_frequency": Column(float, "THz", "negative: imaginary; acoustic modes at the centre left out"),
    "followed": Column(bool, "", "an imaginary mode was followed to a lower structure, which is the one given"),
    "seconds": Column(float, "s", "spent on it"),
    "reason": Column(str, "", "all that speaks against it or makes it unsure"),
}


def write_table(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the table atomically; what a row lacks, and what is not finite, is an empty cell."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open(temporary, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        writer.writerows([_cell(row.get(name)) for name in COLUMNS] for row in rows)
    os.replace(temporary, path)


def _cell(value: Any) -> str:
    """Return a value as it is written."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.8g}" if isinstance(value, float) else str(value)


def read_table(path: Path) -> list[dict[str, Any]]:
    """Return the rows with typed values, None for empty cells.

    :raises ValueError: a column is missing, a row is cut off, or a cell is not what its column holds.
    """
    with open(path, encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"no column {', '.join(missing)}; the file has {', '.join(reader.fieldnames or ())}")
        return [{name: _typed(row, name) for name in COLUMNS} for row in reader]


def _typed(row: Mapping[str, str | None], name: str) -> Any:
    """Return one cell as what its column holds."""
    cell, kind = row[name], COLUMNS[name].type
    if cell is None:
        raise ValueError(f"the row of {row['id']} is cut off")
    if cell == "":
        return None
    try:
        return _TRUTH[cell] if kind is bool else kind(cell)
    except (KeyError, ValueError):
        wanted = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
        raise ValueError(f"{row['id']}: {name} is {cell!r}; {wanted} is needed") from None
