"""What ASE reads: extxyz, its databases, and any other format it knows."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...crystals.batch import CrystalError
from ...results import StageError
from .. import moments
from ..crystal import Crystal, Refused
from .cif_table import refuse_unknown_keys
from .left_out import refuse_left_out
from .record import Found, Record, Request, Unreadable
from .text import lines_of

_OCCUPANCY = re.compile(r"(^|[_\W])(occ|occupanc(y|ies)|occupation|sof)($|[_\W\d])", re.IGNORECASE)


@dataclass(frozen=True)
class AtomsFrame:
    """A frame that ASE read."""

    atoms: Any

    def __call__(self) -> list[Crystal | Refused]:
        atoms = self.atoms
        cell = np.array(atoms.cell)
        if not np.isfinite(cell).all() or not np.isfinite(atoms.positions).all():
            raise CrystalError("the cell or the coordinates hold NaN or infinity")
        if len(atoms) == 0:
            raise CrystalError("no sites; a crystal needs at least one atom")
        if not cell.any():
            raise CrystalError('no cell; in extxyz that is Lattice="..." in the second line of the frame')
        if abs(np.linalg.det(cell)) < 1e-3:
            raise CrystalError(f"singular cell, volume {abs(np.linalg.det(cell)):.3g} Å³")
        if not all(atoms.pbc):
            raise CrystalError("not periodic in three directions")
        if min(atoms.numbers) < 1:
            raise CrystalError("a dummy species (X) in place of a chemical element")
        _refuse_partial(atoms)
        results = atoms.calc.results if atoms.calc is not None else {}
        columns = {**atoms.arrays, **results}
        note = moments.note_of(columns[key] for key in moments.KEYS if key in columns)
        return [Crystal(cell, atoms.positions @ np.linalg.inv(cell) % 1.0, np.array(atoms.numbers), note)]


def _refuse_partial(atoms: Any) -> None:
    """Refuse partial occupancy, which ASE keeps beside the atoms: a number a site, or what a kind is made of.

    :raises CrystalError: there is some.
    """
    for key, column in atoms.arrays.items():
        if _OCCUPANCY.search(key) and column.dtype.kind in "fiu" and np.abs(column - 1.0).max() > 1e-3:
            raise CrystalError(f"partial occupancy ({key} {column.min():g}); give an ordered structure")
    for key, kinds in atoms.info.items():
        if not _OCCUPANCY.search(key):
            continue
        for shares in kinds.values() if isinstance(kinds, dict) else ():
            amounts = list(shares.values()) if isinstance(shares, dict) else [shares]
            if len(amounts) > 1 or any(abs(float(a) - 1.0) > 1e-3 for a in amounts):
                raise CrystalError(f"partial occupancy ({key} {shares}); give an ordered structure")


def read_extxyz(path: Path, request: Request) -> Found:
    """Return the frames of an extxyz file, each read on its own so that a bad one costs only itself.

    :raises StageError: a frame does not begin where it should: all that follow would be wrong.
    """
    with open(path, "rb") as stream:
        try:
            lines = list(lines_of(stream, path.name))
        except ValueError as exception:
            raise StageError("input_unreadable", f"{path}: not readable as text ({exception})") from exception
    return _frames(_extxyz_frames(path, lines), request, str(path))


def _extxyz_frames(path: Path, lines: list[str]) -> Iterator[Any]:
    """Yield the Atoms of every frame, or the reason why there are none."""
    import ase.io

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
        if end > len(lines):
            yield f"cut off: {len(lines) - start - 2} of {end - start - 2} atoms are there"
            return
        try:
            yield ase.io.read(io.StringIO("".join(lines[start:end])), format="extxyz")
        except Exception as exception:  # ASE raises whatever it stumbles over
            yield f"unreadable frame ({type(exception).__name__}: {str(exception)[:120]})"
        start = end


def read_with_ase(path: Path, request: Request) -> Found:
    """Return the frames of a file in any other format.

    :raises StageError: ASE does not know it, or cannot read it.
    """
    import ase.io

    try:
        refuse_left_out(path)
        frames = ase.io.read(path, index=":")
    except CrystalError as exception:
        raise StageError("input_unreadable", f"{path}: {exception}") from None
    except Exception as exception:  # ASE raises whatever it stumbles over
        raise StageError("input_unreadable", f"{path}: neither CSV, zip nor CIF, and ASE cannot read it "
                         f"({type(exception).__name__}: {str(exception)[:160]})") from exception  # fmt: skip
    return _frames(frames if isinstance(frames, list) else [frames], request, str(path))


def read_ase_database(path: Path, request: Request) -> Found:
    """Return the rows of an ASE database (.db of SQLite, or its JSON), with their key-value pairs.

    :raises StageError: no such database, or damaged.
    """
    import ase.db

    atoms = []
    try:
        with ase.db.connect(path, type="json" if path.suffix.lower() == ".json" else "db") as database:
            for row in database.select():
                frame = row.toatoms()
                energy = {"energy": row.energy} if "energy" in row else {}
                shares = {key: value for key, value in row.data.items() if _OCCUPANCY.search(key)}
                frame.info = {**shares, "id": row.id, "unique_id": row.unique_id, **energy, **row.key_value_pairs}
                atoms.append(frame)
    except Exception as exception:  # ASE raises whatever it stumbles over
        raise StageError("input_unreadable", f"{path}: not readable as a database of ASE "
                         f"({type(exception).__name__}: {str(exception)[:160]})") from exception  # fmt: skip
    return _frames(atoms, request, str(path), "id")


def _frames(frames: Any, request: Request, where: str, numbered_by: str | None = None) -> Found:
    """Return the records of frames (or of reasons), their values under the keys of their info and results.

    :raises StageError: none, or none has a key that is asked for.
    """
    records: list[Record] = []
    known: Counter[str] = Counter()
    for index, atoms in enumerate(frames, 1):
        name = f"frame-{index}"
        if isinstance(atoms, str):
            records.append(Record(name, Unreadable(atoms)))
            continue
        values = {**(atoms.calc.results if atoms.calc is not None else {}), **atoms.info}
        known.update(key for key, value in values.items() if value is not None)
        chosen = values.get(request.id_column, f"row-{values[numbered_by]}" if numbered_by else name)
        wanted = {key: values.get(column) for key, column in request.columns.items()}
        records.append(Record(str(chosen), AtomsFrame(atoms), wanted))
    if not records:
        raise StageError("input_unreadable", f"{where}: not one frame in it")
    if any(isinstance(record.read, AtomsFrame) for record in records):
        refuse_unknown_keys(request, dict(known), where)
    return Found(records)
