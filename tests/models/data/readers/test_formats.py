"""Every format that people have: read as its writer meant it, or refused with the reason."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase
import ase.db
import ase.io
import numpy as np
import pytest
from pymatgen.core import Lattice, Species, Structure
from pymatgen.entries.computed_entries import ComputedStructureEntry
from pymatgen.io.vasp import Poscar

from icsg3d_models.crystals.batch import CrystalError
from icsg3d_models.data.readers import read_crystals_from
from icsg3d_models.results import StageError

from .sources import cif, folder_of, half, prepare, rock_salt

METALS = ("Mg", "Ca", "Sr")


def check(dataset: Any, metals: tuple[str, ...] = METALS) -> None:
    """Check that the dataset holds the rock salts of these metals, in their order."""
    assert [str(s.composition.reduced_formula) for s in dataset.crystals.structures()] == [f"{m}O" for m in metals]
    np.testing.assert_allclose(dataset.crystals.cell, np.array([3 * np.eye(3)] * len(metals)), atol=1e-6)
    gap = dataset.crystals.frac[1::2] - dataset.crystals.frac[::2]
    np.testing.assert_allclose(np.abs(gap), 0.5, atol=1e-6)


PACK: list[tuple[str, Callable[[bytes], bytes]]] = [
    (".gz", gzip.compress),
    (".bz2", bz2.compress),
    (".xz", lzma.compress),
]


@pytest.mark.parametrize(("suffix", "pack"), PACK)
def test_compressed_files_are_as_the_plain_ones(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    for metal in METALS:
        (tmp_path / "src").mkdir(exist_ok=True)
        (tmp_path / "src" / f"{metal}.cif{suffix}").write_bytes(pack(cif(rock_salt(metal)).encode()))
    (tmp_path / "src" / f"half.cif{suffix}").write_bytes(pack(cif(half()).encode()))
    whole = pack(cif(rock_salt("Mg")).encode())
    (tmp_path / "src" / f"cut.cif{suffix}").write_bytes(whole[: len(whole) // 2])
    report, dataset = prepare(tmp_path, source=str(tmp_path / "src"))
    assert sorted(dataset.crystals.ids) == sorted(METALS)
    reasons = {entry["id"]: entry["reason"] for entry in report.tables["rejected"]}
    assert "partial occupancy" in reasons["half"]
    assert "cut off" in reasons["cut"]
    with pytest.raises(CrystalError, match="partial occupancy"):
        read_crystals_from(tmp_path / "src" / f"half.cif{suffix}")


def test_folders_of_poscar(tmp_path: Path) -> None:
    for index, metal in enumerate(METALS):
        folder = tmp_path / "src" / f"mp-{index}"
        folder.mkdir(parents=True)
        Poscar(rock_salt(metal)).write_file(folder / "POSCAR", direct=index != 1)
        (folder / "INCAR").write_text("ENCUT = 500\n")
    (tmp_path / "src" / "properties.csv").write_text("material_id,gap\nmp-0,1\nmp-1,2\nmp-2/POSCAR,3\n")
    report, dataset = prepare(tmp_path, source=str(tmp_path / "src"), properties={"gap": "gap"})
    check(dataset)
    assert dataset.crystals.ids == ("mp-0", "mp-1", "mp-2")
    np.testing.assert_array_equal(dataset.values("gap"), [1, 2, 3])
    assert "3 files of other kinds were passed over: mp-0/INCAR" in report.tables["notes"][0]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda lines: [*lines[:5], *lines[6:]], "VASP 4"),
        (lambda lines: lines[:6], "cut off"),
        (lambda lines: lines[:-1], "unreadable POSCAR"),
        (lambda lines: [*lines[:5], "Qq O", *lines[6:]], "no chemical element"),
        (lambda lines: [*lines[:6], "1 2", *lines[7:]], "unreadable POSCAR"),
    ],
)
def test_poscars_that_are_refused(tmp_path: Path, spoil: Callable[[list[str]], list[str]], reason: str) -> None:
    lines = Poscar(rock_salt("Mg")).get_str().splitlines()
    (tmp_path / "POSCAR").write_text("\n".join(spoil(lines)) + "\n")
    with pytest.raises(CrystalError, match=reason):
        read_crystals_from(tmp_path / "POSCAR")


def test_poscar_with_names_of_potentials(tmp_path: Path) -> None:
    text = Poscar(rock_salt("Mg")).get_str().replace("Mg O\n", "Mg_pv O/1a2b3c\n")
    (tmp_path / "CONTCAR_final").write_text(text)
    assert read_crystals_from(tmp_path / "CONTCAR_final").numbers.tolist() == [12, 8]


def documents() -> dict[str, Any]:
    """Return every shape that a JSON of pymatgen structures has."""
    structures = [rock_salt(metal).as_dict() for metal in METALS]
    entries = [
        ComputedStructureEntry(rock_salt(metal), -5.0 - i, data={"gap": i + 1.0}, entry_id=f"e-{i}").as_dict()
        for i, metal in enumerate(METALS)
    ]
    documents = [{"material_id": f"m-{i}", "gap": i + 1.0, "structure": s} for i, s in enumerate(structures)]
    return {
        "list": structures,
        "names": dict(zip(("a", "b", "c"), structures, strict=True)),
        "entries": entries,
        "documents": documents,
        "wrapped": {"structures": documents},
    }


@pytest.mark.parametrize("kind", list(documents()))
def test_json_of_pymatgen(tmp_path: Path, kind: str) -> None:
    content = documents()[kind]
    (tmp_path / "data.json").write_text(json.dumps(content))
    (tmp_path / "data.json.gz").write_bytes(gzip.compress(json.dumps(content).encode()))
    has_gap = kind in ("entries", "documents", "wrapped")
    for name in ("data.json", "data.json.gz"):
        properties = {"gap": "gap"} if has_gap else {}
        _, dataset = prepare(tmp_path, source=str(tmp_path / name), properties=properties)
        check(dataset)
        if has_gap:
            np.testing.assert_array_equal(dataset.values("gap"), [1, 2, 3])
    names = {"names": "a", "entries": "e-0", "documents": "m-0", "wrapped": "m-0", "list": "crystal-1"}
    assert dataset.crystals.ids[0] == names[kind]


def test_json_by_lines_and_of_one_structure(tmp_path: Path) -> None:
    lines = [json.dumps(document) for document in documents()["documents"]]
    (tmp_path / "data.jsonl").write_text("\n".join(lines) + "\n")
    _, dataset = prepare(tmp_path, source=str(tmp_path / "data.jsonl"), properties={"gap": "gap"})
    check(dataset)
    (tmp_path / "one.json").write_text(json.dumps(rock_salt("Mg").as_dict()))
    assert len(read_crystals_from(tmp_path / "one.json")) == 1


def test_json_that_is_refused(tmp_path: Path) -> None:
    spin = Structure(Lattice.cubic(3), [Species("Fe", 2, spin=5), "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    content = {"good": rock_salt("Mg"), "half": half(), "spin": spin}
    source = tmp_path / "data.json"
    source.write_text(json.dumps({name: structure.as_dict() for name, structure in content.items()}))
    report, dataset = prepare(tmp_path, source=str(source))
    assert dataset.crystals.ids == ("good",)
    reasons = {entry["id"]: entry["reason"] for entry in report.tables["rejected"]}
    assert "partial occupancy" in reasons["half"]
    assert "spin" in reasons["spin"]
    for text in ("{", "[]", '{"a": 1}', '{"@module": "os", "@class": "system"}'):
        source.write_text(text)
        with pytest.raises(StageError, match="not readable as JSON of crystals"):
            prepare(tmp_path, source=str(source))
    source.write_text(json.dumps(documents()["documents"]))
    with pytest.raises(StageError, match="no crystal has gpa; there are gap, material_id; is gap meant"):
        prepare(tmp_path, source=str(source), properties={"gap": "gpa"})


@pytest.mark.parametrize("name", ["data.db", "data.json"])
def test_databases_of_ase(tmp_path: Path, name: str) -> None:
    with ase.db.connect(tmp_path / name) as database:
        for index, metal in enumerate(METALS):
            atoms = ase.Atoms([metal, "O"], scaled_positions=[[0, 0, 0], [0.5] * 3], cell=[3.0] * 3, pbc=True)
            database.write(atoms, gap=index + 1.0, material_id=f"m-{index}")
        database.write(ase.Atoms("O", cell=[3.0] * 3, pbc=False))
    report, dataset = prepare(tmp_path, source=str(tmp_path / name), properties={"gap": "gap"})
    check(dataset)
    assert dataset.crystals.ids == ("m-0", "m-1", "m-2")
    np.testing.assert_array_equal(dataset.values("gap"), [1, 2, 3])
    assert report.tables["rejected"] == [{"id": "row-4", "reason": "not periodic in three directions"}]
    with pytest.raises(StageError, match="no crystal has gpa; there are gap, id"):
        prepare(tmp_path, source=str(tmp_path / name), properties={"gap": "gpa"})


def test_extxyz_with_partial_occupancy_or_cut_off(tmp_path: Path) -> None:
    def frame(metal: str) -> ase.Atoms:
        return ase.Atoms([metal, "O"], scaled_positions=[[0, 0, 0], [0.5] * 3], cell=[3.0] * 3, pbc=True)

    whole, by_site, by_kind = frame("Mg"), frame("Ca"), frame("Sr")
    by_site.new_array("occupancy", np.array([0.5, 1.0]))
    by_kind.info["occupancy"] = {"0": {"Sr": 0.6, "Ba": 0.4}, "1": {"O": 1.0}}
    ase.io.write(tmp_path / "data.extxyz", [whole, by_site, by_kind, whole])
    text = (tmp_path / "data.extxyz").read_text()
    (tmp_path / "data.extxyz").write_text("\n".join(text.splitlines()[:-1]))
    report, dataset = prepare(tmp_path, source=str(tmp_path / "data.extxyz"))
    assert dataset.crystals.ids == ("frame-1",)
    reasons = [entry["reason"] for entry in report.tables["rejected"]]
    assert ["partial occupancy" in reason for reason in reasons] == [True, True, False]
    assert "cut off: 1 of 2 atoms" in reasons[2]
    (tmp_path / "data.extxyz.gz").write_bytes(gzip.compress(text.encode()))
    assert prepare(tmp_path, source=str(tmp_path / "data.extxyz.gz"))[0].counts["used"] == 2
    with pytest.raises(StageError, match="no crystal has energy"):
        prepare(tmp_path, source=str(tmp_path / "data.extxyz"), properties={"e": "energy"})


def test_a_zip_of_all_kinds(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.writestr("a.cif", cif(rock_salt("Mg")))
        archive.writestr("b/POSCAR", Poscar(rock_salt("Ca")).get_str())
        archive.writestr("c.json", json.dumps(rock_salt("Sr").as_dict()))
        archive.writestr("d.cif.gz", gzip.compress(cif(rock_salt("Ba")).encode()))
        archive.writestr("readme.txt", "hello")
    report, dataset = prepare(tmp_path, source=str(tmp_path / "data.zip"))
    check(dataset, ("Mg", "Ca", "Sr", "Ba"))
    assert dataset.crystals.ids == ("a", "b", "c", "d")
    assert "readme.txt" in report.tables["notes"][0]


def test_one_file_has_no_properties(tmp_path: Path) -> None:
    source = folder_of(tmp_path, "Mg") / "Mg.cif"
    with pytest.raises(StageError, match="one file of crystals has no properties"):
        prepare(tmp_path, source=str(source), properties={"gap": "gap"})


def test_crystals_of_a_file_or_none(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "src", *METALS)
    assert read_crystals_from(source / "Mg.cif").ids == ("Mg",)
    assert read_crystals_from(source).ids == ("Ca", "Mg", "Sr")
    both = tmp_path / "both.cif"
    both.write_text((source / "Mg.cif").read_text() + (source / "Ca.cif").read_text()[:-40])
    with pytest.raises(CrystalError, match=r"both\.cif: both-2: block .*cut off"):
        read_crystals_from(both)
    with pytest.raises(CrystalError, match="no such file or folder"):
        read_crystals_from(tmp_path / "nowhere.cif")


def test_moments_that_are_not_kept_are_said(tmp_path: Path) -> None:
    """They were dropped without a word."""
    iron = ase.Atoms("Fe2", cell=[2.87] * 3, scaled_positions=[[0] * 3, [0.5] * 3], pbc=True)
    weak, ordered = iron.copy(), iron.copy()
    weak.set_initial_magnetic_moments([0.01, 0.01])
    ordered.set_initial_magnetic_moments([2.2, -2.2])
    ase.io.write(tmp_path / "a.extxyz", [iron, weak, ordered], format="extxyz")
    report, dataset = prepare(tmp_path, source=str(tmp_path / "a.extxyz"))
    assert len(dataset.crystals) == 3
    assert "1 crystals: magnetic moments are not kept" in report.tables["notes"][0]
    assert "(frame-3)" in report.tables["notes"][0]
    assert list(report.tables["summary"]["assumed"].values()) == [1]

    structure = Structure(Lattice.cubic(2.87), ["Fe", "Fe"], [[0] * 3, [0.5] * 3])
    lists = {"none": [0.0, None], "collinear": [3.0, -3.0], "vectors": [[0, 0, 3.0], [0, 0, -3.0]]}
    entries = {name: structure.copy(site_properties={"magmom": m}).as_dict() for name, m in lists.items()}
    (tmp_path / "a.json").write_text(json.dumps(entries))
    report, _ = prepare(tmp_path, source=str(tmp_path / "a.json"))
    assert "2 crystals: magnetic moments are not kept" in report.tables["notes"][0]
    said: list[str] = []
    read_crystals_from(tmp_path / "a.json", said.append)
    assert "(collinear, vectors)" in said[0]


def test_a_cif_without_symmetry_is_counted_in_the_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = cif(rock_salt("Mg"))
    start = text.index("loop_\n _symmetry_equiv_pos_site_id")
    end = text.index("loop_\n _atom_site_type_symbol")
    kept = (text[:start] + text[end:]).splitlines(keepends=True)
    bare = "".join(line for line in kept if not line.startswith("_symmetry"))
    for name in ("a", "b"):
        (tmp_path / "src").mkdir(exist_ok=True)
        (tmp_path / "src" / f"{name}.cif").write_text(bare)
    (tmp_path / "src" / "c.cif").write_text(cif(rock_salt("Ca")))
    report, _ = prepare(tmp_path, source=str(tmp_path / "src"))
    assert report.tables["summary"]["assumed"] == {"no symmetry is stated: read as P 1": 2}
    assert "     2  no symmetry is stated: read as P 1" in capsys.readouterr().out
