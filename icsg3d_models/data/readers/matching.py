"""Rows of a property table find their crystals by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import PurePosixPath

from ...results import StageError
from .table import Row
from .text import bare_name

CRYSTAL_SUFFIXES = (".cif", ".mcif", ".vasp", ".poscar", ".json")


def without_suffix(name: str) -> str:
    """Return the name of a crystal's file without its suffix: `a/STO.cif.gz` is `a/STO`."""
    bare = bare_name(name)
    path = PurePosixPath(bare)
    return str(path.with_suffix("")) if path.suffix.lower() in CRYSTAL_SUFFIXES else bare


def record_name(name: str) -> str:
    """Return the id of the crystal of a file: its path without suffix; of `mp-1/POSCAR` that is `mp-1`."""
    bare = PurePosixPath(bare_name(name))
    if bare.name.upper() in ("POSCAR", "CONTCAR") and bare.parent.name:
        return str(bare.parent)
    return without_suffix(name)


def match_rows(
    rows: list[Row], names: list[str], where: str, id_column: str, columns: list[str]
) -> tuple[dict[str, dict[str, str]], str]:
    """Return name of a crystal -> cells of its row, and in words how many rows matched.

    A row names a crystal by its path, with or without suffix and folders, in any case: as long as it fits one only.

    :raises StageError: no row matches, or two rows say different things of one crystal.
    """
    ways: list[Callable[[str], str]] = [str, record_name, str.casefold, lambda n: record_name(n).casefold()]
    indices = [_index(names, way) for way in ways]
    matched: dict[str, dict[str, str]] = {}
    unclear, missing = [], []
    for row in rows:
        if row.damage:
            raise StageError("input_unreadable", row.damage)
        identity = row.cells[id_column].strip().replace("\\", "/").removeprefix("./")
        fits = next((f for way, index in zip(ways, indices, strict=True) if (f := index.get(way(identity)))), [])
        if not fits:
            missing.append(identity)
        elif len(fits) > 1:
            unclear.append(f"{identity} fits {' and '.join(fits[:3])}")
        else:
            before = matched.setdefault(fits[0], row.cells)
            if differing := [c for c in columns if before[c].strip() != row.cells[c].strip()]:
                raise StageError("input_unreadable", f"{where}: two rows name the crystal {fits[0]} and differ in "
                                 f"{', '.join(differing)}; keep one")  # fmt: skip
    said = f"{len(rows) - len(missing) - len(unclear)} of {len(rows)} rows of {where} match a crystal"
    if unclear:
        said += f"; unclear: {'; '.join(unclear[:3])}"
    if not matched:
        stated = f"its column {id_column} has {_some(missing)}, " if missing else ""
        raise StageError("input_incompatible", f"{said}; {stated}the crystals are named {_some(names)}")
    if missing:
        said += f"; without a crystal: {_some(missing)}"
    if without := [name for name in names if name not in matched]:
        said += f"; {len(without)} crystals without a row: {_some(without)}"
    return matched, said


def _index(names: list[str], way: Callable[[str], str]) -> dict[str, list[str]]:
    """Return every ending of a path -> the names that end so."""
    index: dict[str, list[str]] = defaultdict(list)
    for name in names:
        parts = way(name).split("/")
        for start in range(len(parts)):
            index["/".join(parts[start:])].append(name)
    for name in names:  # the whole path beats an ending
        index[way(name)] = [n for n in index[way(name)] if way(n) == way(name)]
    return index


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
