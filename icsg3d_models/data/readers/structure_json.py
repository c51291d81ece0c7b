"""JSON of pymatgen structures and entries, one or many."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...crystals.batch import CrystalError, check_structure
from ...results import StageError
from .. import moments
from ..crystal import Crystal, Refused
from .cif_table import refuse_unknown_keys
from .record import Found, Record, Request, Unreadable
from .text import as_text, unpack

_ACCEPTED = (
    "a structure of pymatgen (`Structure.as_dict`), an entry with `structure`, a list of these, name -> one of these, "
    "or one of these a line"
)


@dataclass(frozen=True)
class StructureDict:
    """A structure of pymatgen as a dictionary; nothing but numbers and names is taken from it."""

    content: dict[str, Any]

    def __call__(self) -> list[Crystal | Refused]:
        from pymatgen.core import Structure

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", message="Not all sites have property")  # no site property is taken
            try:
                structure = Structure.from_dict(self.content)
            except Exception as exception:  # it raises whatever it stumbles over
                reason = " ".join(f"{type(exception).__name__}: {exception}".split())[:160]
                raise CrystalError(f"unreadable structure ({reason})") from None
        check_structure(structure, "JSON")
        if any(getattr(site.specie, "spin", None) for site in structure):
            raise CrystalError("sites with a spin, which a dataset cannot keep; give the structure without them")
        if not all(structure.lattice.pbc):
            raise CrystalError("not periodic in three directions")
        numbers = np.array([site.specie.Z for site in structure])
        given = structure.site_properties
        notes = [moments.note_of(given[key] for key in moments.KEYS if key in given)]
        if self.content.get("charge"):
            notes.append("the charge of the cell is not kept")
        note = "; ".join(filter(None, notes))
        return [Crystal(structure.lattice.matrix, structure.frac_coords % 1.0, numbers, note)]


@dataclass(frozen=True)
class JsonText:
    """A file of a folder that holds one structure."""

    text: str

    def __call__(self) -> list[Crystal | Refused]:
        try:
            entries = list(entries_of(self.text))
        except ValueError as exception:
            raise CrystalError(f"unreadable JSON ({exception})") from None
        if len(entries) == 1:
            return entries[0][1]()
        return [_outcome(read) for _, read, _ in entries]


def read_structure_json(path: Path, request: Request) -> Found:
    """Return the records of a .json or .jsonl of structures.

    :raises StageError: no JSON, or of something else.
    """
    try:
        entries = list(entries_of(as_text(unpack(path.read_bytes(), path.name))))
    except (ValueError, CrystalError) as exception:
        raise StageError("input_unreadable", f"{path}: not readable as JSON of crystals ({exception})") from None
    known = Counter(key for _, _, values in entries for key, value in values.items() if value is not None)
    refuse_unknown_keys(request, dict(known), str(path))
    records = []
    for name, read, values in entries:
        chosen = values.get(request.id_column)
        records.append(Record(
            name if chosen is None else str(chosen),
            read,
            {key: values.get(column) for key, column in request.columns.items()},
        ))  # fmt: skip
    return Found(records)


Read = Callable[[], list[Crystal | Refused]]


def entries_of(text: str) -> Iterator[tuple[str, Read, dict[str, Any]]]:
    """Yield name, reader and values of everything in a JSON text; what is no crystal among crystals has its reason.

    :raises ValueError: no JSON, or not one crystal in it.
    """
    content = _parsed(text)
    if isinstance(content, dict) and not _is_entry(content):
        listed = content.get("structures") or content.get("entries")
        pairs = list(enumerate(listed, 1)) if isinstance(listed, list) else list(content.items())
    else:
        pairs = list(enumerate(content if isinstance(content, list) else [content], 1))
    if not any(_is_entry(entry) for _, entry in pairs):
        raise ValueError(f"it holds something else; accepted are {_ACCEPTED}")
    for key, entry in pairs:
        name = f"crystal-{key}" if isinstance(key, int) else key
        if _is_entry(entry):
            structure = entry if "lattice" in entry else entry["structure"]
            yield str(entry.get("entry_id") or name), StructureDict(structure), _values(entry, structure)
        else:
            reason = entry.reason if isinstance(entry, Unreadable) else f"{str(entry)[:40]!r} is no structure"
            yield name, Unreadable(reason), {}


def _parsed(text: str) -> Any:
    """Return the content of a JSON text, or a list of that of its lines, where one of them may be damaged.

    :raises ValueError: neither.
    """
    try:
        return json.loads(text)
    except ValueError:
        content: list[Any] = []
        for number, line in enumerate(text.splitlines(), 1):
            try:
                content += [json.loads(line)] if line.strip() else []
            except ValueError as exception:
                content.append(Unreadable(f"line {number} is no JSON: damaged or cut off ({exception})"))
        if not any(_is_entry(entry) for entry in content):
            raise
        return content


def _is_entry(content: Any) -> bool:
    """Return whether this is a structure or something with one."""
    if not isinstance(content, dict):
        return False
    structure = content if "lattice" in content else content.get("structure")
    return isinstance(structure, dict) and "lattice" in structure and "sites" in structure


def _values(entry: dict[str, Any], structure: dict[str, Any]) -> dict[str, Any]:
    """Return what an entry says beside its structure: its own keys before those of data and properties."""
    found: dict[str, Any] = {}
    for source in (structure.get("properties"), entry.get("parameters"), entry.get("data"), entry.get("properties")):
        found.update(source if isinstance(source, dict) else {})
    found.update(entry)
    return {key: v for key, v in found.items() if v is None or isinstance(v, int | float | str)}


def _outcome(read: Read) -> Crystal | Refused:
    try:
        (crystal,) = read()
    except CrystalError as exception:
        return Refused(str(exception))
    return crystal
