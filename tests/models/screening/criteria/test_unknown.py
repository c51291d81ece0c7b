"""Formulas of known compounds, in whatever way they are written."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Composition, Element

from icsg3d_models.crystals.elements import NUMBER
from icsg3d_models.results import StageError
from icsg3d_models.screening.criteria.unknown import UNKNOWN
from icsg3d_models.screening.known_formulas import contents_key, read_known_formulas, shipped_known_formulas
from icsg3d_models.screening.sources import Sources
from icsg3d_models.stability.references import known_formulas

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


@pytest.mark.parametrize(("one", "other"), [
    ("Al(NO)2", "N2AlO2"),  # pymatgen writes groups of non-metals so
    ("Ba(NO3)2", "N2O6Ba"), ("Ca5P3HO13", "Ca10(PO4)6(OH)2"), ("((CH3)2Si)2O", "C4H12OSi2"), ("O2", "O8"),
])  # fmt: skip
def test_ways_of_writing_one_composition(one: str, other: str) -> None:
    assert contents_key(one) == contents_key(other)


def test_every_formula_that_pymatgen_writes_can_be_looked_up() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        amounts = {Element.from_Z(int(z)): int(rng.integers(1, 5)) for z in rng.integers(1, 95, rng.integers(1, 6))}
        composition = Composition(amounts)
        expected = {str(e): int(n) for e, n in composition.reduced_composition.as_dict().items()}
        unit = np.gcd.reduce(list(expected.values()))
        key = "".join(f"{symbol}{expected[symbol] // unit}" for symbol in sorted(expected))
        assert contents_key(composition.reduced_formula) == key


@pytest.mark.parametrize(
    "text", ["Pb(TiO3\n", "()2\n", "PbTiO3\nlead titanate\n", "Pb0.5TiO3\n", "Xx2\n", "# nothing\n", "Pb0\n"]
)
def test_what_is_no_list_of_formulas_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "known.txt"
    path.write_text(text)
    with pytest.raises(StageError, match=r"known\.txt") as raised:
        read_known_formulas(path)
    assert raised.value.status == "input_unreadable"


def test_a_list_that_is_required_must_be_given() -> None:
    assert "give `known_formulas`" in str(UNKNOWN.lacking(batch_of([perovskite()])))


def test_the_list_of_the_package_holds_all_its_formulas() -> None:
    """A fifth of them are written with groups, such as NaMn(SiO3)2."""
    known = shipped_known_formulas()
    assert all(known.holds(formula) for formula in ("PbTiO3", "NaMnSi2O6", "CoCu(PO4)2", "Na"))
    whole = [formula for formula in known_formulas() if "." not in formula]
    assert len(known.contents) == len({contents_key(formula) for formula in [*whole, *NUMBER]})
