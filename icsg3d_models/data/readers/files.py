"""A folder or zip of files, one crystal or more in each, and the table of their properties."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ...crystals.batch import CrystalError
from ...results import StageError
from .matching import match_rows, record_name
from .poscar import PoscarText, is_poscar
from .record import CifText, Found, Record, Request, Unreadable
from .structure_json import JsonText
from .table import read_table
from .text import LARGEST, as_text, bare_name, unpack

PROPERTY_TABLE = "properties.csv"
_TABLES = ("properties.csv", "properties.tsv")


@dataclass(frozen=True)
class Member:
    """A file of the source: its path within it, its size, and how to get its bytes."""

    name: str
    size: int
    content: Callable[[], bytes]


def is_cif(name: str) -> bool:
    """Return whether a file is a CIF by its name, compressed or not."""
    return bare_name(name).lower().endswith((".cif", ".mcif"))


def is_crystal_file(name: str) -> bool:
    """Return whether a file of a folder is read."""
    bare = PurePosixPath(bare_name(name)).name
    return is_cif(bare) or is_poscar(bare) or bare.lower().endswith(".json")


def read_folder(path: Path, request: Request) -> Found:
    """Return the records of a folder and its subfolders."""
    files = sorted(p for p in path.rglob("*") if p.is_file())
    inside = [(p, p.relative_to(path)) for p in files]
    members = [Member(r.as_posix(), p.stat().st_size, p.read_bytes) for p, r in inside if not _hidden(r.parts)]
    return _read_members(members, request, str(path), "folder")


def read_zip(path: Path, request: Request) -> Found:
    """Return the records of a zip.

    :raises StageError: no zip, or cut off.
    """
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as exception:
        raise StageError("input_unreadable", f"{path}: not a zip archive, or cut off ({exception})") from exception
    with archive:
        infos = [i for i in archive.infolist() if not i.is_dir() and not _hidden(PurePosixPath(i.filename).parts)]
        infos.sort(key=lambda i: i.filename)
        members = [Member(i.filename, i.file_size, lambda i=i: archive.read(i)) for i in infos]  # type: ignore[misc]
        return _read_members(members, request, str(path), "archive")


def read_file(name: str, data: bytes) -> CifText | PoscarText | JsonText | Unreadable:
    """Return the reader of one file of crystals."""
    try:
        text = as_text(unpack(data, name))
    except CrystalError as exception:
        return Unreadable(str(exception))
    if is_cif(name):
        return CifText(text)
    return PoscarText(text) if is_poscar(bare_name(name)) else JsonText(text)


def _hidden(parts: tuple[str, ...]) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def _read_members(members: list[Member], request: Request, where: str, kind: str) -> Found:
    """Return the records of the members that hold crystals, with their rows of the property table."""
    tables = [m for m in members if PurePosixPath(bare_name(m.name)).name.lower() in _TABLES]
    crystals = [m for m in members if is_crystal_file(m.name)]
    if not crystals:
        there = ", ".join(PurePosixPath(m.name).name for m in members[:3])
        instead = f"it holds {there}; give such a file itself as the source" if there else "it is empty"
        raise StageError("input_missing", f"{where}: no .cif file in the {kind}, nor .mcif, POSCAR, CONTCAR or .json; "
                         + instead)  # fmt: skip
    names = [record_name(member.name) for member in crystals]
    notes = []
    if passed := [m.name for m in members if m not in crystals and m not in tables]:
        notes.append(f"{len(passed)} files of other kinds were passed over: {', '.join(passed[:3])}"
                     + (", ..." if len(passed) > 3 else ""))  # fmt: skip
    rows: dict[str, dict[str, str]] = {}
    if request.columns:
        rows, said = _property_rows(tables, names, request, where)
        notes.append(said)
    records = []
    for name, member in zip(names, crystals, strict=True):
        row = rows.get(name, {})
        values = {key: row.get(column) for key, column in request.columns.items()}
        records.append(Record(name, _open(member), values))
    return Found(records, notes)


def _property_rows(
    tables: list[Member], names: list[str], request: Request, where: str
) -> tuple[dict[str, dict[str, str]], str]:
    """Return name -> row of the property table that lies beside the crystals.

    :raises StageError: there is none, or more than one.
    """
    columns = list(request.columns.values())
    if not tables:
        raise StageError("input_missing", f"{where}: properties are asked for, but there is no {PROPERTY_TABLE} beside "
                         f"the CIFs; add one with the columns {request.id_column} (file name without .cif), "
                         f"{', '.join(columns)}")  # fmt: skip
    if len(tables) > 1:
        raise StageError("input_unreadable", f"{where}: several property tables ({', '.join(t.name for t in tables)}); "
                         "put their rows into one")  # fmt: skip
    table = tables[0]
    stream = io.BytesIO(table.content())
    rows = list(read_table(stream, f"{where}/{table.name}", [request.id_column, *columns]))
    return match_rows(rows, names, table.name, request.id_column, columns)


def _open(member: Member) -> CifText | PoscarText | JsonText | Unreadable:
    if member.size > LARGEST:
        return Unreadable(f"{member.size} bytes, too large for a CIF")
    try:
        return read_file(member.name, member.content())
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError) as exception:
        return Unreadable(f"unreadable file ({exception})")
