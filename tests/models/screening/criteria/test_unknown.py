"""Formulas of known compounds, in whatever way they are written."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from icsg3d_models.results import StageError
from icsg3d_models.screening.criteria.unknown import UNKNOWN
from icsg3d_models.screening.known_formulas import read_known_formulas
from icsg3d_models.screening.sources import Sources

from ..crystals_by_hand import batch_of, perovskite, sodium


def test_lead_titanate_is_known(tmp_path: Path) -> None:
    path = tmp_path / "known.txt"
    path.write_text("# a list\nTi2 Pb2O6\n".replace(" Pb", "Pb") + "\nNa  # metal\n", encoding="utf-8-sig")
    sources = Sources(known=read_known_formulas(path))
    found = UNKNOWN.judge(batch_of([perovskite(), perovskite("Ba"), sodium()], sources))
    assert found.cells["known_formula"] == [True, False, True]
    assert found.passed.tolist() == [False, True, False]
    assert found.reasons[0] == "TiPbO3 is a known compound (known.txt)"


def test_compressed_lists(tmp_path: Path) -> None:
    path = tmp_path / "known.txt.gz"
    path.write_bytes(gzip.compress(b"SrTiO3\n"))
    assert read_known_formulas(path).holds("TiSrO3")


@pytest.mark.parametrize("text", ["PbTiO3\nlead titanate\n", "Pb0.5TiO3\n", "Xx2\n", "# nothing\n", "Pb0\n"])
def test_what_is_no_list_of_formulas_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "known.txt"
    path.write_text(text)
    with pytest.raises(StageError, match=r"known\.txt") as raised:
        read_known_formulas(path)
    assert raised.value.status == "input_unreadable"


def test_a_list_that_is_required_must_be_given() -> None:
    assert "give `known_formulas`" in str(UNKNOWN.lacking(batch_of([perovskite()])))
