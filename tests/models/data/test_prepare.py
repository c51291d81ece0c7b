"""The stage ``prepare``: every kind of source, and what is left out is named."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter

from icsg3d_models.data.datasets import DatasetError, read_dataset
from icsg3d_models.data.gather import unique_names
from icsg3d_models.data.prepare import run
from icsg3d_models.results import Report, StageError
from icsg3d_models.settings import PrepareSettings

METALS = ["Mg", "Ca", "Sr", "Ba", "Ti", "Zr", "Hf", "Al", "Ga", "In"]


def rock_salt(metal: str, anion: str = "O", a: float = 4.5) -> Structure:
    return Structure(Lattice.cubic(a / 2**0.5), [metal, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


def good_cifs(n: int) -> dict[str, str]:
    return {f"c{i:02d}": str(CifWriter(rock_salt(METALS[i % 10], "OS"[i // 10 % 2]))) for i in range(n)}


def bad_cifs() -> dict[str, str]:
    """Return one CIF of every kind that cannot be used."""
    text = str(CifWriter(rock_salt("Mg")))
    partial = Structure(Lattice.cubic(4), [{"Mg": 0.5, "Ca": 0.5}, "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    close = Structure(Lattice.cubic(4), ["Mg", "O"], [[0, 0, 0], [0.05, 0, 0]])
    dummy = Structure(Lattice.cubic(4), ["Xa", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    return {
        "empty": "",
        "text": "no crystal here",
        "truncated": text[: len(text) // 2],
        "partial": str(CifWriter(partial)),
        "close": str(CifWriter(close)),
        "dummy": str(CifWriter(dummy)),
        "singular": text.replace("_cell_angle_gamma   90", "_cell_angle_gamma   0"),
    }


def prepare(folder: Path, **settings: object) -> Report:
    """Run the stage in ``folder``."""
    report = Report("prepare", folder, quiet=True)
    run(PrepareSettings(**settings), report)  # type: ignore[arg-type]
    return report


def test_folder_with_bad_files_uses_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "cifs"
    source.mkdir()
    for name, text in {**good_cifs(20), **bad_cifs()}.items():
        (source / f"{name}.cif").write_text(text)
    report = prepare(tmp_path, source=str(source))
    rejected = {entry["id"]: entry["reason"] for entry in report.tables["rejected"]}
    assert set(rejected) == set(bad_cifs())
    assert all(rejected.values())
    assert "occupancy" in rejected["partial"]
    assert "empty" in rejected["empty"]
    assert "0.200 Å apart" in rejected["close"]
    assert report.counts["read"] == 27
    assert report.counts["used"] == 20
    assert "7 of 27 crystals left out" in capsys.readouterr().err
    assert len(read_dataset(tmp_path / "dataset.h5")) == 20


def write_csv(path: Path, values: list[str]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["material_id", "cif", "heat_all"])
        for (name, text), value in zip(good_cifs(len(values)).items(), values, strict=True):
            writer.writerow([name, text, value])


def test_csv_with_missing_values(tmp_path: Path) -> None:
    write_csv(tmp_path / "data.csv", ["1.5", "", "nan", "-2", "abc", "3"])
    columns = {"energy": "heat_all"}
    report = prepare(tmp_path, source=str(tmp_path / "data.csv"), properties=columns)
    values = read_dataset(tmp_path / "dataset.h5").values("energy")
    np.testing.assert_array_equal(values, [1.5, np.nan, np.nan, -2, 3])
    assert [entry["id"] for entry in report.tables["rejected"]] == ["c04"]
    report = prepare(tmp_path, source=str(tmp_path / "data.csv"), properties=columns, required=["energy"])
    assert [entry["id"] for entry in report.tables["rejected"]] == ["c01", "c02", "c04"]


def test_csv_without_the_column(tmp_path: Path) -> None:
    write_csv(tmp_path / "data.csv", ["1"])
    with pytest.raises(StageError, match="no column band_gap; the file has material_id, cif, heat_all"):
        prepare(tmp_path, source=str(tmp_path / "data.csv"), properties={"gap": "band_gap"})


def test_zip_equals_folder_with_its_table(tmp_path: Path) -> None:
    source = tmp_path / "cifs"
    source.mkdir()
    table = "material_id,e\n" + "".join(f"{name},{i}\n" for i, name in enumerate(good_cifs(6)))
    (source / "properties.csv").write_text(table)
    with zipfile.ZipFile(tmp_path / "cifs.zip", "w") as archive:
        archive.writestr("cifs/properties.csv", table)
        for name, text in good_cifs(6).items():
            (source / f"{name}.cif").write_text(text)
            archive.writestr(f"cifs/{name}.cif", text)
    hashes = []
    for path in (source, tmp_path / "cifs.zip"):
        report = prepare(tmp_path, source=str(path), properties={"energy": "e"})
        hashes.append(report.tables["dataset"]["content_hash"])
    assert hashes[0] == hashes[1]
    np.testing.assert_array_equal(read_dataset(tmp_path / "dataset.h5").values("energy"), np.arange(6))


def test_extxyz_reads_the_frames_around_a_bad_one(tmp_path: Path) -> None:
    frames = []
    for index, metal in enumerate(METALS[:4]):
        atoms = ase.Atoms([metal, "O"], scaled_positions=[[0, 0, 0], [0.5] * 3], cell=[3.2] * 3, pbc=True)
        atoms.info.update(material_id=f"x{index}", e=float(index))
        frames.append(atoms)
    frames[1].pbc = False
    frames[2].cell[2] = 0
    ase.io.write(tmp_path / "data.extxyz", frames)
    with open(tmp_path / "data.extxyz", "a", encoding="utf-8") as stream:
        stream.write('1\nLattice="3 0 0 0 3 0 0 0 3" Properties=species:S:1:pos:R:3 pbc="T T T"\nFe 0.0 what 0.0\n')
    report = prepare(tmp_path, source=str(tmp_path / "data.extxyz"), properties={"energy": "e"})
    dataset = read_dataset(tmp_path / "dataset.h5")
    assert dataset.crystals.ids == ("x0", "x3")
    np.testing.assert_allclose(dataset.crystals.cell[0], 3.2 * np.eye(3))
    np.testing.assert_array_equal(dataset.values("energy"), [0, 3])
    reasons = {entry["id"]: entry["reason"] for entry in report.tables["rejected"]}
    assert "not periodic" in reasons["x1"]
    assert "singular" in reasons["x2"]
    assert "unreadable frame" in reasons["frame-5"]


def test_one_crystal_of_any_format_that_ase_reads(tmp_path: Path) -> None:
    atoms = ase.Atoms("MgO", scaled_positions=[[0, 0, 0], [0.5] * 3], cell=[3.2] * 3, pbc=True)
    ase.io.write(tmp_path / "POSCAR", atoms, format="vasp")
    assert prepare(tmp_path, source=str(tmp_path / "POSCAR")).counts["used"] == 1


def test_nothing_usable(tmp_path: Path) -> None:
    (tmp_path / "only.cif").write_text("no crystal here")
    with pytest.raises(StageError, match=r"not one of 1 crystals can be used\. only: unreadable") as raised:
        prepare(tmp_path, source=str(tmp_path / "only.cif"))
    assert raised.value.status == "input_unreadable"


@pytest.mark.parametrize("name", ["missing.csv", "missing.zip", "missing"])
def test_missing_source(tmp_path: Path, name: str) -> None:
    with pytest.raises(StageError, match="no such file or folder") as raised:
        prepare(tmp_path, source=str(tmp_path / name))
    assert raised.value.status == "input_missing"


def test_same_names_get_a_suffix_of_their_own() -> None:
    assert unique_names(["a", "b", "a", "a-2", "a"]) == ["a", "b", "a-3", "a-2", "a-4"]


def test_compositions_stay_together(tmp_path: Path) -> None:
    source = tmp_path / "cifs"
    source.mkdir()
    for index in range(40):
        crystal = rock_salt(METALS[index % 10], a=4.2 + 0.02 * index)
        (source / f"c{index}.cif").write_text(str(CifWriter(crystal)))
    prepare(tmp_path, source=str(source), split={"train": 0.6, "validation": 0.2, "test": 0.2})
    dataset = read_dataset(tmp_path / "dataset.h5")
    parts: dict[str, set[int]] = {}
    for formula, part in zip(dataset.crystals.formulas(), dataset.split, strict=True):
        parts.setdefault(formula, set()).add(int(part))
    assert len(parts) == 10
    assert all(len(found) == 1 for found in parts.values())
    assert set(dataset.split.tolist()) == {0, 1, 2}


def test_crystals_of_one_composition_are_split_one_by_one(tmp_path: Path) -> None:
    source = tmp_path / "cifs"
    source.mkdir()
    for index in range(20):
        (source / f"c{index}.cif").write_text(str(CifWriter(rock_salt("Mg", a=4.2 + 0.02 * index))))
    shares = {"train": 0.6, "validation": 0.2, "test": 0.2}
    prepare(tmp_path, source=str(source), split=shares)
    assert set(read_dataset(tmp_path / "dataset.h5").split.tolist()) == {0}
    prepare(tmp_path, source=str(source), split={**shares, "by": "crystal"})
    assert np.bincount(read_dataset(tmp_path / "dataset.h5").split).tolist() == [12, 4, 4]


def test_datasets_are_joined_and_crystals_keep_part_and_properties(tmp_path: Path) -> None:
    write_csv(tmp_path / "data.csv", ["1", "2", "3", "4"])
    by_crystal = {"train": 0.5, "validation": 0.25, "test": 0.25, "by": "crystal"}
    common = {"source": str(tmp_path / "data.csv"), "split": by_crystal}
    prepare(tmp_path, **common, dataset="a.h5", properties={"energy": "heat_all"}, units={"energy": "eV"}, citation="A")
    prepare(tmp_path, **common, dataset="b.h5", properties={"gap": "heat_all"}, citation="B", seed=3)
    report = prepare(tmp_path, source=["a.h5", "b.h5"], dataset="both.h5", name="both")
    one, other, both = (read_dataset(tmp_path / name) for name in ("a.h5", "b.h5", "both.h5"))
    assert report.counts["used"] == 8
    assert report.inputs == {"a.h5": one.content_hash(), "b.h5": other.content_hash()}
    np.testing.assert_array_equal(both.split, np.concatenate([one.split, other.split]))
    np.testing.assert_array_equal(both.values("energy"), [1, 2, 3, 4] + [np.nan] * 4)
    np.testing.assert_array_equal(both.values("gap"), [np.nan] * 4 + [1, 2, 3, 4])
    np.testing.assert_allclose(both.crystals.frac, np.concatenate([one.crystals.frac, other.crystals.frac]))
    assert len(set(both.crystals.ids)) == 8
    assert (both.name, both.citation, both.units["energy"]) == ("both", "A; B", "eV")
    formulas = np.array(both.crystals.formulas())
    shared = set(formulas[both.split == 0]) & set(formulas[both.split == 2])
    assert report.counts["test_compositions_in_train"] == len(shared)
    with pytest.raises(StageError, match="properties: dataset files that are joined keep what they have"):
        prepare(tmp_path, source=["a.h5", "b.h5"], properties={"energy": "heat_all"})
    with pytest.raises(DatasetError, match="no such dataset file"):
        prepare(tmp_path, source=["a.h5", "nothing.h5"])
    prepare(tmp_path, **common, dataset="c.h5", properties={"energy": "heat_all"}, units={"energy": "kJ/mol"})
    with pytest.raises(StageError, match="energy is in 'kJ/mol', in the files before it in 'eV'"):
        prepare(tmp_path, source=["a.h5", "c.h5"])


def test_cells_in_picometres_and_atoms_in_one_another(tmp_path: Path) -> None:
    source = tmp_path / "src"
    source.mkdir()
    split = Structure(Lattice.cubic(4), ["Mg", "O", "O"], [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0.6]])
    wrong = {"fine": rock_salt("Mg"), "pm": rock_salt("Ca", a=450.0), "split": split}
    for name, structure in wrong.items():
        (source / f"{name}.cif").write_text(str(CifWriter(structure)))
    reasons = {entry["id"]: entry["reason"] for entry in prepare(tmp_path, source=str(source)).tables["rejected"]}
    assert set(reasons) == {"pm", "split"}
    assert "lengths have to be in Å" in reasons["pm"]
    assert "0.400 Å apart, closer than 0.5 Å" in reasons["split"]
