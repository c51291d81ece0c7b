"""The one way in: crystals of any source, read right or refused with the reason. A module reads one format."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from ...crystals.batch import CrystalError, Crystals
from ...results import StageError
from .ase_files import read_ase_database, read_extxyz, read_with_ase
from .cif_table import read_cif_table
from .files import PROPERTY_TABLE, is_cif, read_file, read_folder, read_zip
from .matching import record_name
from .optimade import Provider, is_provider, read_optimade
from .poscar import is_poscar
from .record import CifText, Found, Record, Request, Unreadable
from .structure_json import read_structure_json
from .text import PACKED, bare_name

__all__ = (
    "PROPERTY_TABLE",
    "CifText",
    "Found",
    "Record",
    "Request",
    "Unreadable",
    "read_crystals_from",
    "read_records",
)

ACCEPTED = (
    "a .csv with a column of CIFs, a .cif or .mcif, a folder or .zip of CIFs, POSCARs or JSON, .extxyz, .json of "
    "pymatgen, a .db of ASE, a file that ASE reads, each also as .gz, or the URL of an OPTIMADE provider"
)


def read_records(source: str, request: Request, kept: Path | None = None) -> Found:
    """Return the records of a source.

    :param source: path, or URL of an OPTIMADE provider.
    :param kept: file in which pages of a provider are kept, so that a next run goes on there.
    :raises StageError: the source is missing, not readable, or lacks a column.
    """
    if is_provider(source):
        return read_optimade(Provider(source), request, kept)
    if request.filter or request.limit is not None:
        raise StageError("settings_rejected", f"`filter` and `limit` are for OPTIMADE providers; {source} is a file")
    path = Path(source)
    if path.is_dir():
        return read_folder(path, request)
    if not path.is_file():
        raise StageError("input_missing", f"{source}: no such file or folder; give {ACCEPTED}")
    bare = Path(bare_name(path.name))
    suffix = bare.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return read_cif_table(path, request)
    if suffix == ".zip":
        return read_zip(path, request)
    if is_cif(path.name) or is_poscar(bare.name):
        if request.columns:
            raise StageError("settings_rejected", f"{source}: one file of crystals has no properties; put it into a "
                             f"folder beside a {PROPERTY_TABLE}, or leave `properties` out")  # fmt: skip
        return Found([Record(Path(record_name(path.name)).name, read_file(path.name, path.read_bytes()))])
    if suffix in (".xyz", ".extxyz"):
        return read_extxyz(path, request)
    if suffix == ".db" or (suffix == ".json" and _is_database(path)):
        return read_ase_database(path, request)
    if suffix in (".json", ".jsonl"):
        return read_structure_json(path, request)
    return read_with_ase(path, request)


def _is_database(path: Path) -> bool:
    """Return whether a JSON is a database of ASE."""
    if path.suffix.lower() in PACKED:
        return False
    try:
        content = json.loads(path.read_bytes())
    except ValueError:
        return False
    return isinstance(content, dict) and "ids" in content and "nextid" in content


def read_crystals_from(path: str | Path, say: Callable[[str], None] | None = None) -> Crystals:
    """Return all crystals of a file or folder, named after it.

    :param say: takes a sentence on what was assumed, or is not kept.
    :raises CrystalError: there is none, or one of them cannot be used; the message says which and why.
    """
    from ..gather import gather

    try:
        found = read_records(str(path), Request())
    except StageError as exception:
        raise CrystalError(str(exception)) from None
    gathered = gather(found.records)
    if gathered.rejected:
        first = gathered.rejected[0]
        where = str(path) if gathered.read == 1 else f"{path}: {first['id']}"
        raise CrystalError(f"{where}: {first['reason']}")
    if not len(gathered.crystals):
        raise CrystalError(f"{path}: no crystal in it")
    if say is not None:
        for note in (*found.notes, *gathered.notes):
            say(f"{path}: {note}")
    return gathered.crystals
