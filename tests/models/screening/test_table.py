"""The schema of the table: written and read by one module, tables of earlier releases too."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from icsg3d_models.screening.criteria import CRITERIA
from icsg3d_models.screening.table import COLUMNS, NEEDED, as_text, header, read_table, write_table

EARLIER = """\
rank,id,formula,n_sites,spacegroup_symbol,spacegroup_number,a,b,c,alpha,beta,gamma,volume,predicted_energy,\
uncertainty_energy,structure_valid,composition_valid,unique,duplicate_of,novel,selected,novel_composition,reason
1,s000002,InF,2,Pm-3m,221,3.1,3.1,3.1,90.0,90.0,90.0,29.79,-1.5,0.02,True,True,True,,True,True,False,
,s000003,NaN,2,,,,,,,,,,,,False,False,False,s000002,False,False,False,"two atoms are 0.41 Å apart"
"""


def test_every_column_says_what_it_holds() -> None:
    assert set(NEEDED) <= set(COLUMNS)
    for column in COLUMNS.values():
        assert column.meaning, column
        assert column.kind == "number" or not column.unit, column
    assert {column.name for criterion in CRITERIA for column in criterion.columns} <= set(header(["energy"]))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    names = header(["energy"])
    row = dict.fromkeys(names) | {"id": "s1", "formula": "NaN", "n_sites": 5, "a": 3.97, "predicted_energy": -1.25,
                                  "unique": True, "novel": False, "selected": True, "rank": 1}  # fmt: skip
    write_table(tmp_path / "t.csv", names, [row, {"id": "s2", "a": float("nan")}])
    first, second = read_table(tmp_path / "t.csv")
    assert first == row
    assert second == dict.fromkeys(names) | {"id": "s2"}


def test_tables_of_earlier_releases() -> None:
    first, second = read_table(io.StringIO(EARLIER))
    assert (first["rank"], first["formula"], first["novel_composition"], first["predicted_energy"]) == (
        1, "InF", False, -1.5,
    )  # fmt: skip
    assert (second["formula"], second["a"], second["duplicate_of"]) == ("NaN", None, "s000002")


def test_columns_of_later_releases_stay_text() -> None:
    later = (
        EARLIER.replace("reason\n", "reason,charm\n")
        .replace("False,\n", "False,,up\n")
        .replace('apart"', 'apart",down')
    )
    assert read_table(io.StringIO(later))[0]["charm"] == "up"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",id,", ",name,", "no column id"),
        ("True,True,True", "maybe,True,True", "s000002: structure_valid is 'maybe'"),
        ("Pm-3m,221", "Pm-3m,many", "spacegroup_number is 'many'"),
        (",True,True,False,\n", "\n", "s000002 is cut off"),
    ],
)
def test_damaged_tables(old: str, new: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_table(io.StringIO(EARLIER.replace(old, new, 1)))


def test_digits() -> None:
    assert as_text("a", 3.97) == "3.970000"
    assert as_text("predicted_energy", -1.23456789) == "-1.23457"
    assert as_text("rank", None) == ""


def test_the_schema_needs_no_torch() -> None:
    code = "import sys, icsg3d_models.screening.table; sys.exit('torch' in sys.modules or 'aiida' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
