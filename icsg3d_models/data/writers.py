"""Crystals in the formats that people have: CIF, extxyz, pymatgen JSON, OPTIMADE JSON; one function a format.

CIF and OPTIMADE are written by pymatgen, extxyz by ASE.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..crystals.formulas import chemical_formula
from ..crystals.symmetry import SYMPREC

if TYPE_CHECKING:
    from pymatgen.core import Structure

PROVIDER = "_icsg3d_"


@dataclass(frozen=True)
class Entry:
    """A crystal with what is known of it.

    :param id: unique in its file.
    :param structure: the crystal.
    :param values: name -> number, text or truth value; None is left out.
    :param symprec: Å, tolerance of the symmetry that its CIF is written with.
    """

    id: str
    structure: Structure
    values: Mapping[str, Any] = field(default_factory=dict)
    symprec: float = SYMPREC

    @property
    def known(self) -> dict[str, Any]:
        """The values that are there."""
        return {name: value for name, value in self.values.items() if value is not None}

    @property
    def formula(self) -> str:
        """Reduced formula as chemists write it."""
        return chemical_formula(self.structure.formula)


def safe_name(text: str) -> str:
    """Return a text fit for a file name: letters, digits, dots and dashes only."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip(".-") or "x"


def cif_text(entry: Entry) -> str:
    """Return a CIF with the symmetry found within the tolerance; P 1 where none is found, and then it says so.

    Sites are moved onto the symmetry, by less than the tolerance.
    """
    from pymatgen.io.cif import CifWriter

    try:
        body = str(CifWriter(entry.structure, symprec=entry.symprec, significant_figures=6))
        note = f"symmetry found within {entry.symprec:g} A, sites moved onto it"
    except (TypeError, ValueError, AttributeError):  # spglib found nothing: sites closer together than the tolerance
        body = str(CifWriter(entry.structure, significant_figures=6))
        note = f"no symmetry could be determined within {entry.symprec:g} A: written as it is, in P 1"
    facts = "".join(f"# {safe_name(name)}: {one_line(value)}\n" for name, value in entry.known.items())
    return f"# {safe_name(entry.id)}, {entry.formula}\n# {note}\n{facts}{body}"


def one_line(value: Any) -> str:
    """Return a value as text without line breaks."""
    return " ".join(str(value).split())


def write_cif(entries: Sequence[Entry], path: Path) -> None:
    """Write a CIF with a block for each crystal, or, where the name ends in `.zip`, a file for each."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for entry in entries:
                archive.writestr(f"{safe_name(entry.id)}.cif", cif_text(entry))
        return
    blocks = []
    for entry in entries:
        blocks.append(re.sub(r"(?m)^data_.*$", f"data_{safe_name(entry.id)}", cif_text(entry), count=1))
    path.write_text("\n".join(blocks), encoding="utf-8")


def write_extxyz(entries: Sequence[Entry], path: Path) -> None:
    """Write extended XYZ, cell and values in the comment line of each frame."""
    from ase.io import write
    from pymatgen.io.ase import AseAtomsAdaptor

    frames = []
    for entry in entries:
        atoms = AseAtomsAdaptor.get_atoms(entry.structure, msonable=False)
        atoms.calc = None
        atoms.info = {"id": entry.id, "formula": entry.formula, **entry.known}
        frames.append(atoms)
    write(str(path), frames, format="extxyz")


def write_pymatgen(entries: Sequence[Entry], path: Path) -> None:
    """Write a JSON list of pymatgen Structures, id and values in their ``properties``.

    Read back with ``monty.serialization.loadfn``.
    """
    crystals = []
    for entry in entries:
        crystal = entry.structure.copy()
        crystal.properties = {"id": entry.id, **entry.known}
        crystals.append(crystal.as_dict())
    path.write_text(json.dumps(crystals, indent=1) + "\n", encoding="utf-8")


def write_optimade(entries: Sequence[Entry], path: Path) -> None:
    """Write a JSON list of OPTIMADE structure resources, as a provider loads them; values as ``_icsg3d_...``."""
    from datetime import UTC, datetime

    from pymatgen.io.optimade import OptimadeStructureAdapter

    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    resources = []
    for entry in entries:
        content: dict[str, Any] = dict(OptimadeStructureAdapter.get_optimade_structure(entry.structure))
        attributes = {**content["attributes"], "last_modified": now, "immutable_id": entry.id}
        attributes["chemical_formula_descriptive"] = entry.formula
        attributes |= {f"{PROVIDER}{field_name(name)}": value for name, value in entry.known.items()}
        resources.append({"id": entry.id, "type": "structures", "attributes": attributes})
    path.write_text(json.dumps({"data": resources}, indent=1) + "\n", encoding="utf-8")


def field_name(name: str) -> str:
    """Return a name as OPTIMADE wants it: lower case letters, digits and underscores."""
    return re.sub(r"[^a-z0-9_]+", "_", name.lower()).strip("_")


FORMATS: dict[str, tuple[Callable[[Sequence[Entry], Path], None], str]] = {
    "cif": (write_cif, ".zip"),
    "extxyz": (write_extxyz, ".extxyz"),
    "pymatgen": (write_pymatgen, ".json"),
    "optimade": (write_optimade, ".json"),
}
"""Name -> (function, ending of the file where none is given)."""
