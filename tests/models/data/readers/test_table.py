"""Tables that people have: what is read, what is matched, and what is refused with the reason."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest

from icsg3d_models.results import StageError

from .sources import cif, folder_of, prepare, rock_salt

GAP = {"gap": "gap"}


def gaps(tmp_path: Path, table: str | bytes, name: str = "properties.csv", *metals: str) -> dict[str, float]:
    """Return crystal -> gap of a folder with this table."""
    source = folder_of(tmp_path / "src", *(metals or ("Mg", "Ca", "Sr")))
    content = table.encode() if isinstance(table, str) else table
    (source / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    _, dataset = prepare(tmp_path, source=str(source), properties=GAP)
    return dict(zip(dataset.crystals.ids, dataset.values("gap").tolist(), strict=True))


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("material_id,gap\nMg,1\nCa,2\nSr,3\n", "properties.csv"),
        ("\ufeffmaterial_id,gap\nMg,1\nCa,2\nSr,3\n", "properties.csv"),
        ("material_id;gap\nMg;1\nCa;2\nSr;3\n", "properties.csv"),
        ("material_id\tgap\nMg\t1\nCa\t2\nSr\t3\n", "properties.tsv"),
        ("material_id , gap\r\nMg,1\r\nCa,2\r\nSr,3\r\n", "properties.csv"),
        ("material_id,gap\nMg,1\nCa,2\nSr,3\n", "properties.csv.gz"),
        ("material_id,gap\nMg,1\nCa,2\nSr,3\n".encode("utf-16"), "properties.csv"),
        ("\nmaterial_id,gap,note\n\nMg.cif,1,\"a, b\"\nCA,2,\n./sr.CIF,3,x\n", "Properties.csv"),
        ("material_id,gap\nMg,1\nCa,2\nSr,3\nMg,1\n", "properties.csv"),
    ],
)  # fmt: skip
def test_tables_that_say_the_same(tmp_path: Path, table: str | bytes, name: str) -> None:
    assert gaps(tmp_path, table, name) == {"Mg": 1.0, "Ca": 2.0, "Sr": 3.0}


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (
            "material_id,gap\nBa,1\nZn,2\n",
            "0 of 2 rows of properties.csv match a crystal; its column material_id has",
        ),
        ("material_id,gap\nMg,1\nMg,2\n", "two rows name the crystal Mg and differ in gap"),
        ("material_id,gap,gap\nMg,1,2\n", "the column gap is there more than once"),
        ("material_id,material_id,gap\nMg,Mg,2\n", "the column material_id is there more than once"),
        ("material_id,Gap\nMg,1\n", "no column gap; the file has material_id, Gap; is Gap meant"),
        ("id,gap\nMg,1\n", "no column material_id; the file has id, gap"),
        ("material_id,gap\nMg,1,2\n", "row 1 of .* has 3 of 2 columns"),
        ("material_id,gap\nMg\n", "row 1 of .* has 1 of 2 columns"),
        ("material_id,gap\nMg,\0\n", "NUL bytes"),
        ("material_id,gap\nMg,\nCa,nan\n", "not one of the 3 crystals has a value of gap"),
        ("", "an empty table"),
        ('material_id,gap\nMg,"1\n', "cut off in its last row"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, table: str, reason: str) -> None:
    with pytest.raises(StageError, match=reason):
        gaps(tmp_path, table)


def test_a_name_in_two_folders_is_unclear(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = "material_id,gap\nMg,1\ny/Mg,2\nx/Ca.cif,3\n"
    found = gaps(tmp_path, table, "properties.csv", "x/Mg", "y/Mg", "x/Ca", "y/Sr")
    assert {name: gap for name, gap in found.items() if gap == gap} == {"y/Mg": 2.0, "x/Ca": 3.0}
    said = capsys.readouterr().err
    assert "2 of 3 rows of properties.csv match a crystal; unclear: Mg fits x/Mg and y/Mg" in said
    assert "2 crystals without a row: x/Mg, y/Sr" in said


def test_a_zip_with_two_tables_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        for folder in "xy":
            archive.writestr(f"{folder}/Mg.cif", cif(rock_salt("Mg")))
            archive.writestr(f"{folder}/properties.csv", "material_id,gap\nMg,1\n")
        archive.writestr("__MACOSX/._Mg.cif", "junk")
    with pytest.raises(StageError, match="several property tables"):
        prepare(tmp_path, source=str(tmp_path / "d.zip"), properties=GAP)
    assert prepare(tmp_path, source=str(tmp_path / "d.zip"))[0].counts["read"] == 2


def quoted(metal: str) -> str:
    return '"' + cif(rock_salt(metal)).replace('"', '""') + '"'


def test_a_table_of_cifs_in_other_words(tmp_path: Path) -> None:
    rows = [("m1", quoted("Mg"), "1.5"), ("m2", quoted("Ca"), "2.5")]
    tables = {
        "a.csv": "material_id,cif,gap\n" + "".join(",".join(row) + "\n" for row in rows),
        "b.tsv": "material_id\tcif\tgap\n" + "".join("\t".join(row) + "\n" for row in rows),
        "c.csv": "\ufeffgap;cif;material_id\r\n" + "".join(";".join(row[::-1]) + "\r\n" for row in rows),
    }
    for name, text in tables.items():
        (tmp_path / name).write_bytes(text.encode())
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    hashes = set()
    for name in (*tables, *(f"{name}.gz" for name in tables)):
        report, dataset = prepare(tmp_path, source=str(tmp_path / name), properties=GAP)
        assert dataset.crystals.ids == ("m1", "m2")
        np.testing.assert_array_equal(dataset.values("gap"), [1.5, 2.5])
        hashes.add(report.tables["dataset"]["content_hash"])
    assert len(hashes) == 1


def test_a_table_of_cifs_that_is_cut_off_or_damaged(tmp_path: Path) -> None:
    head = f"material_id,cif,gap\nm1,{quoted('Mg')},1\n"
    source = tmp_path / "data.csv"
    source.write_text(head + "m2," + quoted("Ca")[:200])
    report, dataset = prepare(tmp_path, source=str(source), properties=GAP)
    assert dataset.crystals.ids == ("m1",)
    assert "cut off in its last row" in report.tables["rejected"][0]["reason"]
    source.write_text(head + f"m2,{quoted('Ca')},1,2\n")
    report, _ = prepare(tmp_path, source=str(source), properties=GAP)
    assert "row 2 of" in report.tables["rejected"][0]["reason"]
    whole = gzip.compress(head.encode())
    (tmp_path / "cut.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StageError, match="not readable as CSV"):
        prepare(tmp_path, source=str(tmp_path / "cut.csv.gz"))
    source.write_text("material_id,cif\n")
    with pytest.raises(StageError, match="a table without rows"):
        prepare(tmp_path, source=str(source))


def test_names_of_properties_that_are_not_there(tmp_path: Path) -> None:
    source = tmp_path / "data.csv"
    source.write_text(f"material_id,cif,gap\nm1,{quoted('Mg')},1\n")
    common = {"source": str(source), "properties": GAP}
    with pytest.raises(StageError, match="a unit for gpa, which `properties` does not define; it defines gap"):
        prepare(tmp_path, **common, units={"gpa": "eV"})
    with pytest.raises(StageError, match=r"no column mateial_id; the file has .*is material_id meant"):
        prepare(tmp_path, **common, id_column="mateial_id")
    with pytest.raises(StageError, match="no column bandgap"):
        prepare(tmp_path, source=str(source), properties={"gap": "bandgap"})
    source.write_text(f"name,cif,gap\nm1,{quoted('Mg')},1\n")
    report, dataset = prepare(tmp_path, **common)
    assert dataset.crystals.ids == ("row-1",)
    assert "no column material_id: the crystals are named row-1" in report.tables["notes"][0]


def test_a_row_of_properties_is_not_shared_by_several_crystals(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "src", "Mg")
    (source / "two.cif").write_text(cif(rock_salt("Ca")) + cif(rock_salt("Sr")))
    (source / "properties.csv").write_text("material_id,gap\nMg,1\ntwo,2\n")
    report, dataset = prepare(tmp_path, source=str(source), properties=GAP)
    assert dataset.crystals.ids == ("Mg",)
    assert [entry["id"] for entry in report.tables["rejected"]] == ["two-1", "two-2"]
    assert "two holds 2 crystals, which share one row of properties" in report.tables["rejected"][0]["reason"]


def test_rows_that_are_there_twice(tmp_path: Path) -> None:
    source = tmp_path / "data.csv"
    rows = [("a", "Mg", 1), ("a", "Mg", 1), ("b", "Ca", 2), ("b", "Ca", 7), ("c", "Sr", 3), ("c", "Ba", 4)]
    source.write_text("material_id,cif,gap\n" + "".join(f"{n},{quoted(metal)},{gap}\n" for n, metal, gap in rows))
    report, dataset = prepare(tmp_path, source=str(source), properties=GAP)
    assert dict(zip(dataset.crystals.ids, dataset.values("gap").tolist(), strict=True)) == {"a": 1, "c": 3, "c-2": 4}
    assert report.tables["rejected"] == [{"id": "b", "reason": "two rows name b with one CIF and differ in gap"}]
    said = "\n".join(report.tables["notes"])
    assert "1 rows are there twice and were taken once (a)" in said
    assert "named like another, so the later one has a number behind its name (c-2)" in said


@pytest.mark.parametrize("value", ["1_000", "3,2", "3.2 eV", "1.5(2)", "True", "1d-3", "inf", "1e999"])
def test_values_that_are_no_numbers(tmp_path: Path, value: str) -> None:
    source = tmp_path / "data.csv"
    source.write_text(f"material_id;cif;gap\na;{quoted('Mg')};{value}\nb;{quoted('Ca')};2\n")
    report, dataset = prepare(tmp_path, source=str(source), properties=GAP)
    assert dataset.crystals.ids == ("b",)
    assert "property gap is" in report.tables["rejected"][0]["reason"]


def test_ways_to_say_that_a_value_is_missing(tmp_path: Path) -> None:
    words = ["", "-", "--", "?", "NaN", "None", "null", "NA", "n/a", "#N/A", "<NA>", "2"]
    source = tmp_path / "data.csv"
    text = "".join(f"c{n},{quoted('Mg')},{word}\n" for n, word in enumerate(words))
    source.write_text("material_id,cif,gap\n" + text)
    _, dataset = prepare(tmp_path, source=str(source), properties=GAP)
    assert np.isnan(dataset.values("gap")).tolist() == [True] * 11 + [False]


def test_the_row_that_is_cut_off_is_counted(tmp_path: Path) -> None:
    source = tmp_path / "data.csv"
    source.write_text(f"material_id,cif\nm1,{quoted('Mg')}\nm2,{quoted('Ca')[:100]}")
    report, _ = prepare(tmp_path, source=str(source))
    assert report.tables["rejected"][0]["id"] == "row-2"
