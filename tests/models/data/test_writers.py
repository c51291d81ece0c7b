"""Crystals written for other programs, read back by those programs."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

from icsg3d_models.data.writers import FORMATS, Entry, cif_text, safe_name, write_cif

SITES = [[0.51, 0.5, 0.5], [0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]
PEROVSKITE = Structure(Lattice.cubic(3.9), ["Pb", "Ti", "O", "O", "O"], SITES)
ROCKSALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3])
ENTRIES = [
    Entry("s000001", PEROVSKITE, {"predicted_heat": 0.08, "known": True, "gap": None}, 0.1),
    Entry("s000002", ROCKSALT, {"predicted_heat": -1.5}),
]


def test_cif_has_the_symmetry_that_was_found() -> None:
    text = cif_text(ENTRIES[0])
    assert "Pm-3m" in text
    assert "0.1 A, sites moved onto it" in text
    assert "predicted-heat: 0.08" in text.replace("_", "-")
    strict = cif_text(Entry("x", PEROVSKITE, {}, 0.001))
    assert "Pm-3m" not in strict


def test_cif_without_symmetry_says_so() -> None:
    close = Structure(Lattice.cubic(3.0), ["H", "H"], [[0, 0, 0], [0.001, 0, 0]])
    text = cif_text(Entry("x", close, {}, 0.1))
    assert "written as it is, in P 1" in text
    assert len(Structure.from_str(text, fmt="cif", site_tolerance=0)) == 2


def test_zip_holds_a_file_each_and_one_file_a_block_each(tmp_path: Path) -> None:
    write_cif(ENTRIES, tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert archive.namelist() == ["s000001.cif", "s000002.cif"]
        found = Structure.from_str(archive.read("s000002.cif").decode(), fmt="cif")
    assert found.matches(ROCKSALT)
    write_cif(ENTRIES, tmp_path / "all.cif")
    from pymatgen.io.cif import CifParser

    both = CifParser(tmp_path / "all.cif").parse_structures(primitive=False)
    assert [len(s) for s in both] == [5, 8]


def test_extxyz_is_read_by_ase(tmp_path: Path) -> None:
    from ase.io import read

    write, _ = FORMATS["extxyz"]
    write(ENTRIES, tmp_path / "all.extxyz")
    frames = read(tmp_path / "all.extxyz", index=":")
    assert [len(f) for f in frames] == [5, 8]
    assert frames[0].info["predicted_heat"] == 0.08
    assert frames[0].info["formula"] == "PbTiO3"
    assert frames[0].cell.lengths() == pytest.approx([3.9] * 3)


def test_pymatgen_reads_its_own(tmp_path: Path) -> None:
    from monty.serialization import loadfn

    write, _ = FORMATS["pymatgen"]
    write(ENTRIES, tmp_path / "all.json")
    first, second = loadfn(tmp_path / "all.json")
    assert isinstance(first, Structure)
    assert first.properties == {"id": "s000001", "predicted_heat": 0.08, "known": True}
    assert second.matches(ROCKSALT)


def test_optimade_resources_have_every_field_that_the_standard_demands(tmp_path: Path) -> None:
    write, _ = FORMATS["optimade"]
    write(ENTRIES, tmp_path / "all.json")
    (first, _) = json.loads((tmp_path / "all.json").read_text())["data"]
    assert (first["type"], first["id"]) == ("structures", "s000001")
    attributes = first["attributes"]
    assert attributes["chemical_formula_reduced"] == "O3PbTi"  # the standard's alphabetical one
    assert attributes["chemical_formula_descriptive"] == "PbTiO3"
    assert attributes["chemical_formula_anonymous"] == "A3BC"
    assert attributes["_icsg3d_predicted_heat"] == 0.08
    assert "_icsg3d_gap" not in attributes
    for name in ("elements", "nelements", "elements_ratios", "lattice_vectors", "cartesian_site_positions", "nsites",
                 "species", "species_at_sites", "dimension_types", "nperiodic_dimensions", "last_modified",
                 "structure_features"):  # fmt: skip
        assert attributes[name] is not None, name


def test_file_names_hold_no_paths() -> None:
    assert safe_name("../../etc/passwd") == "etc-passwd"
    assert safe_name("Ba(OH)2 x") == "Ba-OH-2-x"
    assert safe_name("//") == "x"
