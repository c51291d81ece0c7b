"""What a format can say and its usual reader passes over: symmetry, occupancy, further sites, contradictions."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import ase
import ase.db
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp import Poscar

from icsg3d_models.crystals.batch import CrystalError
from icsg3d_models.data.readers import read_crystals_from
from icsg3d_models.results import StageError

from .sources import prepare, rock_salt

RES = "TITL x\nCELL 1.0 4 4 4 90 90 90\n{}SFAC Sr\nSr 1 0.1 0 0 {}\nEND\n"
PDB = (
    "CRYST1    4.000    4.000    4.000  90.00  90.00  90.00 {:<10}\n"
    "ATOM      1 SR   MOL     1       0.000   0.000   0.000  {:.2f}  0.00          SR\nEND\n"
)
FRAME = '1\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3:{}:R:1\nSr 0 0 0 {}\n'


@pytest.mark.parametrize(("name", "text", "reason"), [
    ("a.res", RES.format("LATT -1\n", "1.0"), ""),
    ("a.res", RES.format("LATT -1\n", "11.0"), ""),
    ("a.res", RES.format("LATT -1\n", "0.5"), "partial occupancy"),
    ("a.res", RES.format("LATT 1\n", "11.0"), "symmetry in a .res"),
    ("a.res", RES.format("LATT -1\nSYMM -X,-Y,Z\n", "11.0"), "symmetry in a .res"),
    ("a.pdb", PDB.format("P 1", 1), ""),
    ("a.pdb", PDB.format("P 21", 1), "group P 21 of a .pdb"),
    ("a.pdb", PDB.format("P 1", 0.5), "partial occupancy"),
    *(("a.extxyz", FRAME.format(key, 0.5), "partial occupancy") for key in
      ("occupancy", "Occupancy", "occ", "site_occ", "frac_occupancy", "occupancies", "sof")),
    *(("a.extxyz", FRAME.format(key, value), "") for key, value in (("occupancy", 1.0), ("soccer", 0.5))),
    ("a.extxyz", "1\nProperties=species:S:1:pos:R:3\nSr 0 0 0\n", "no cell; in extxyz that is Lattice"),
])  # fmt: skip
def test_formats_that_ase_reads(tmp_path: Path, name: str, text: str, reason: str) -> None:
    for file, content in ((name, text.encode()), (f"{name}.gz", gzip.compress(text.encode()))):
        (tmp_path / file).write_bytes(content)
        if reason:
            with pytest.raises(CrystalError, match=reason):
                read_crystals_from(tmp_path / file)
        elif file != "a.res.gz":  # ASE opens no compressed .res
            assert read_crystals_from(tmp_path / file).numbers.tolist() == [38]


def test_occupancies_beside_the_atoms_of_a_database(tmp_path: Path) -> None:
    with ase.db.connect(tmp_path / "a.db") as database:
        database.write(ase.Atoms("Mg", cell=[4] * 3, pbc=True), data={"occupancy": {"0": {"Mg": 0.5, "Ca": 0.5}}})
    with pytest.raises(CrystalError, match="partial occupancy"):
        read_crystals_from(tmp_path / "a.db")


def test_rows_of_a_poscar(tmp_path: Path) -> None:
    salt = rock_salt("Mg")
    lines = Poscar(salt).get_str().splitlines()
    bare = [line.rsplit(None, 1)[0] for line in lines[8:]]
    fine = {
        "plain": [*lines[:8], *bare],
        "fixed": Poscar(salt, selective_dynamics=[[True] * 3, [False] * 3]).get_str().splitlines(),
        "moving": Poscar(salt, velocities=[[0, 0, 0], [0, 0, 1]]).get_str().splitlines(),
    }
    for name, text in fine.items():
        (tmp_path / f"{name}.vasp").write_text("\n".join(text) + "\n")
        assert read_crystals_from(tmp_path / f"{name}.vasp").numbers.tolist() == [12, 8]
    wrong = {
        "more.vasp": ([*lines, "0.2 0.2 0.2"], "2 sites are counted, but the row '0.2 0.2 0.2' follows"),
        "other.vasp": ([*lines[:8], *(f"{row} Fe" for row in bare)], "names Fe; line 6 says Mg there"),
    }
    for name, (text, reason) in wrong.items():
        (tmp_path / name).write_text("\n".join(text) + "\n")
        with pytest.raises(CrystalError, match=reason):
            read_crystals_from(tmp_path / name)


def test_what_is_no_crystal_among_crystals_costs_itself_only(tmp_path: Path) -> None:
    content = rock_salt("Mg").as_dict()
    (tmp_path / "a.json").write_text(json.dumps([content, None, {"gap": 1}, content]))
    report, dataset = prepare(tmp_path, source=str(tmp_path / "a.json"))
    assert dataset.crystals.ids == ("crystal-1", "crystal-4")
    assert [entry["id"] for entry in report.tables["rejected"]] == ["crystal-2", "crystal-3"]
    line = json.dumps(content)
    (tmp_path / "a.jsonl").write_text(f"{line}\n{line[:90]}\n{line}\n")
    report, dataset = prepare(tmp_path, source=str(tmp_path / "a.jsonl"))
    assert dataset.crystals.ids == ("crystal-1", "crystal-3")
    assert "line 2 is no JSON: damaged or cut off" in report.tables["rejected"][0]["reason"]
    (tmp_path / "a.json").write_text(json.dumps(content, indent=1)[:-40])
    with pytest.raises(StageError, match="not readable as JSON of crystals"):
        prepare(tmp_path, source=str(tmp_path / "a.json"))


def test_a_charge_is_not_kept_and_that_is_said(tmp_path: Path) -> None:
    charged = Structure(Lattice.cubic(4), ["Mg"], [[0, 0, 0]], charge=2)
    (tmp_path / "a.json").write_text(json.dumps(charged.as_dict()))
    report, _ = prepare(tmp_path, source=str(tmp_path / "a.json"))
    assert "the charge of the cell is not kept" in report.tables["notes"][0]


def test_names_that_are_there_twice_are_said(tmp_path: Path) -> None:
    entries = [{"structure": rock_salt(metal).as_dict(), "entry_id": "x"} for metal in ("Mg", "Ca")]
    (tmp_path / "a.json").write_text(json.dumps(entries))
    report, dataset = prepare(tmp_path, source=str(tmp_path / "a.json"))
    assert dataset.crystals.ids == ("x", "x-2")
    assert "named like another, so the later one has a number behind its name (x-2)" in report.tables["notes"][0]
