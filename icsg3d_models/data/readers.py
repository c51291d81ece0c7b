"""Records of a source of crystals: CSV with CIFs, folder or zip of CIFs, or a file that ASE reads.

A record is what was found, read or not: every one ends up in the dataset or in the list of the rejected.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..crystals.batch import CrystalError
from ..results import StageError
from .cif import Crystal, parse_cif

PROPERTY_TABLE = "properties.csv"
_LARGEST_CIF = 50_000_000  # bytes; larger is no crystal but an accident or a zip bomb


@dataclass(frozen=True)
class Record:
    """One crystal of a source, not parsed yet.

    :param id: its name in the source.
    :param read: returns its crystals; raises CrystalError with the reason where it cannot.
    :param values: property -> text or number as found.
    """

    id: str
    read: Callable[[], list[Crystal]]
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CifText:
    """A CIF that is parsed when called; picklable, so that a process pool can do it."""

    text: str

    def __call__(self) -> list[Crystal]:
        return parse_cif(self.text)


@dataclass(frozen=True)
class Unreadable:
    """A record that could not even be opened."""

    reason: str

    def __call__(self) -> list[Crystal]:
        raise CrystalError(self.reason)


@dataclass(frozen=True)
class AtomsFrame:
    """A frame that ASE read."""

    atoms: Any

    def __call__(self) -> list[Crystal]:
        atoms = self.atoms
        cell = np.array(atoms.cell)
        if not np.isfinite(cell).all() or not np.isfinite(atoms.positions).all():
            raise CrystalError("the cell or the coordinates hold NaN or infinity")
        if len(atoms) == 0:
            raise CrystalError("no sites; a crystal needs at least one atom")
        if abs(np.linalg.det(cell)) < 1e-3:
            raise CrystalError(f"singular cell, volume {abs(np.linalg.det(cell)):.3g} Å³")
        if not all(atoms.pbc):
            raise CrystalError("not periodic in three directions")
        if min(atoms.numbers) < 1:
            raise CrystalError("a dummy species (X) in place of a chemical element")
        return [Crystal(cell, atoms.positions @ np.linalg.inv(cell) % 1.0, np.array(atoms.numbers))]


def read_records(source: str, columns: dict[str, str], cif_column: str, id_column: str) -> list[Record]:
    """Return the records of a source.

    :param source: CSV, folder, zip or any file that ASE reads.
    :param columns: property -> column or key in the source.
    :raises StageError: the source is missing, not readable, or lacks a column.
    """
    path = Path(source)
    if path.is_dir():
        return list(_from_folder(path, columns, id_column))
    if not path.is_file():
        raise StageError("input_missing", f"{source}: no such file or folder; give a .csv, a folder or .zip of "
                         "CIFs, or a file that ASE reads")  # fmt: skip
    if path.suffix.lower() == ".csv":
        return list(_from_csv(path, columns, cif_column, id_column))
    if path.suffix.lower() == ".zip":
        return list(_from_zip(path, columns, id_column))
    if path.suffix.lower() == ".cif":
        return [Record(path.stem, _open_cif(path))]
    if path.suffix.lower() in (".xyz", ".extxyz"):
        return list(_from_extxyz(path, columns, id_column))
    return list(_from_ase(path, columns, id_column))


def _read_table(stream: io.TextIOBase, name: str, needed: list[str]) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV after checking its columns."""
    csv.field_size_limit(_LARGEST_CIF)
    try:
        reader = csv.DictReader(stream)
        missing = [column for column in needed if column not in (reader.fieldnames or [])]
        if missing:
            have = ", ".join(filter(None, reader.fieldnames or [])) or "none"
            raise StageError("input_unreadable", f"{name}: no column {', '.join(missing)}; the file has {have}")
        yield from reader
    except (csv.Error, UnicodeDecodeError) as exception:
        raise StageError("input_unreadable", f"{name}: not readable as CSV ({exception})") from exception


def _from_csv(path: Path, columns: dict[str, str], cif_column: str, id_column: str) -> Iterator[Record]:
    with open(path, newline="", encoding="utf-8") as stream:
        for index, row in enumerate(_read_table(stream, str(path), [cif_column, *columns.values()])):
            name = row.get(id_column) or f"row-{index + 1}"
            values = {key: row[column] for key, column in columns.items()}
            yield Record(name, CifText(row[cif_column] or ""), values)


def _property_rows(text: str | None, where: str, columns: dict[str, str], id_column: str) -> dict[str, dict[str, str]]:
    """Return id -> row of the property table that lies beside the CIFs."""
    if not columns:
        return {}
    if text is None:
        raise StageError("input_missing", f"{where}: properties are asked for, but there is no {PROPERTY_TABLE} beside "
                         f"the CIFs; add one with the columns {id_column} (file name without .cif), "
                         f"{', '.join(columns.values())}")  # fmt: skip
    rows = _read_table(io.StringIO(text, newline=""), f"{where}/{PROPERTY_TABLE}", [id_column, *columns.values()])
    return {row[id_column]: row for row in rows}


def _from_folder(path: Path, columns: dict[str, str], id_column: str) -> Iterator[Record]:
    files = sorted(p for p in path.rglob("*") if p.suffix.lower() == ".cif" and p.is_file())
    if not files:
        raise StageError("input_missing", f"{path}: no .cif file in the folder")
    table = path / PROPERTY_TABLE
    rows = _property_rows(table.read_text("utf-8") if table.is_file() else None, str(path), columns, id_column)
    for file in files:
        name = str(file.relative_to(path).with_suffix(""))
        row = rows.get(name, {})
        yield Record(name, _open_cif(file), {key: row.get(column) for key, column in columns.items()})


def _from_zip(path: Path, columns: dict[str, str], id_column: str) -> Iterator[Record]:
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as exception:
        raise StageError("input_unreadable", f"{path}: not a zip archive, or cut off ({exception})") from exception
    with archive:
        hidden = ("__MACOSX/", ".")
        infos = [
            i for i in archive.infolist() if i.filename.lower().endswith(".cif") and not i.filename.startswith(hidden)
        ]
        if not infos:
            raise StageError("input_missing", f"{path}: no .cif file in the archive")
        tables = [n for n in archive.namelist() if Path(n).name == PROPERTY_TABLE]
        text = archive.read(tables[0]).decode("utf-8") if tables else None
        rows = _property_rows(text, str(path), columns, id_column)
        for info in sorted(infos, key=lambda i: i.filename):
            name = info.filename[:-4]
            row = rows.get(name) or rows.get(Path(name).name, {})
            values = {key: row.get(column) for key, column in columns.items()}
            yield Record(name, _open_member(archive, info), values)


def _open_cif(path: Path) -> CifText | Unreadable:
    try:
        if path.stat().st_size > _LARGEST_CIF:
            return Unreadable(f"{path.stat().st_size} bytes, too large for a CIF")
        return CifText(path.read_bytes().decode("utf-8", errors="replace"))
    except OSError as exception:
        return Unreadable(f"unreadable file ({exception.strerror})")


def _open_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> CifText | Unreadable:
    if info.file_size > _LARGEST_CIF:
        return Unreadable(f"{info.file_size} bytes, too large for a CIF")
    try:
        return CifText(archive.read(info).decode("utf-8", errors="replace"))
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError) as exception:
        return Unreadable(f"unreadable member of the archive ({exception})")


def _from_extxyz(path: Path, columns: dict[str, str], id_column: str) -> Iterator[Record]:
    """Yield the frames of an extxyz file, each read on its own so that a bad one costs only itself."""
    import ase.io

    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    start, index = 0, 0
    while start < len(lines):
        if not lines[start].strip():
            start += 1
            continue
        index += 1
        try:
            end = start + int(lines[start]) + 2
        except ValueError:
            raise StageError("input_unreadable", f"{path}: line {start + 1} should hold the number of atoms of frame "
                             f"{index}, but reads {lines[start].strip()[:60]!r}") from None  # fmt: skip
        name = f"frame-{index}"
        try:
            atoms = ase.io.read(io.StringIO("".join(lines[start:end])), format="extxyz")
        except Exception as exception:  # ASE raises whatever it stumbles over
            yield Record(name, Unreadable(f"unreadable frame ({type(exception).__name__}: {str(exception)[:120]})"))
        else:
            yield _frame(atoms, name, columns, id_column)
        start = end


def _from_ase(path: Path, columns: dict[str, str], id_column: str) -> Iterator[Record]:
    import ase.io

    try:
        frames = ase.io.read(path, index=":")
    except Exception as exception:  # ASE raises whatever it stumbles over
        raise StageError("input_unreadable", f"{path}: neither CSV, zip nor CIF, and ASE cannot read it "
                         f"({type(exception).__name__}: {str(exception)[:160]})") from exception  # fmt: skip
    for index, atoms in enumerate(frames if isinstance(frames, list) else [frames]):
        yield _frame(atoms, f"frame-{index + 1}", columns, id_column)


def _frame(atoms: Any, name: str, columns: dict[str, str], id_column: str) -> Record:
    known = {**(atoms.calc.results if atoms.calc is not None else {}), **atoms.info}
    values = {key: known.get(column) for key, column in columns.items()}
    return Record(str(known.get(id_column, name)), AtomsFrame(atoms), values)
