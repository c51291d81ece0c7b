"""The summary of a dataset: kinds of reasons, copies in other cells, histograms of odd columns."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.data.summary import duplicates_of, in_words, kind_of, summarise

SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


@pytest.mark.parametrize(
    ("reasons", "kind"),
    [
        (
            ("partial occupancy (Sr1: 0.6); give an ordered structure", "block x: partial occupancy (O1: 0.5); give"),
            "partial occupancy",
        ),
        (
            ("the sites add up to Na1 Cl1, but the file states Na", "the sites add up to O4, but the file states O2"),
            "the sites add up to ...",
        ),
        (
            ("two atoms are 0.200 Å apart, closer than 0.3 Å", "two atoms are 0.100 Å apart, closer than 0.3 Å"),
            "two atoms are ... Å apart, closer than ... Å",
        ),
        (("label HO1 without type symbol is ambiguous (H or Ho); add", "label CA1 without type symbol is ambiguous"),
         "label without type symbol is ambiguous"),
    ],
)  # fmt: skip
def test_reasons_of_one_kind_are_counted_together(reasons: tuple[str, ...], kind: str) -> None:
    assert {kind_of(reason) for reason in reasons} == {kind}


def test_copies_are_found_in_any_cell() -> None:
    shifted = SALT.copy()
    shifted.translate_sites(list(range(len(shifted))), [0.1, 0.2, 0.3])
    larger = SALT.copy()
    larger.scale_lattice(SALT.volume * 1.05)
    other = Structure.from_spacegroup("Pm-3m", Lattice.cubic(5.64 / 4 ** (1 / 3)), ["Na", "Cl"], [[0] * 3, [0.5] * 3])
    structures = [SALT, larger, SALT.get_primitive_structure(), other, shifted, SALT.make_supercell([2, 1, 1])]
    crystals = Crystals.from_structures(structures, list("abcdef"))
    found = duplicates_of(crystals, crystals.formulas())
    assert [(one, other) for one, other in found] == [(2, 0), (4, 0), (5, 0)]


def test_histograms_of_odd_columns() -> None:
    crystals = Crystals.from_structures([SALT] * 4, list("abcd"))
    columns = {
        "usual": np.array([0.0, 1.0, 2.0, np.nan]),
        "constant": np.full(4, 3.0),
        "huge": np.array([1.0, 1e308, -1e308, 2.0]),
        "missing": np.full(4, np.nan),
    }
    summary = summarise(crystals, crystals.formulas(), columns, {"usual": "eV"}, [{"id": "x", "reason": "empty CIF"}])
    json.dumps(summary, allow_nan=False)
    found = summary["properties"]
    assert sum(found["usual"]["histogram"]["counts"]) == 3
    assert found["constant"]["histogram"]["counts"] == [4]
    assert sum(found["huge"]["histogram"]["counts"]) == 4
    assert found["missing"] == {"unit": "", "known": 0, "missing": 4}
    text = in_words({"read": 5, "used": 4, "rejected": 1}, summary)
    for said in ("read 5, used 4, rejected 1", "1  empty CIF", "duplicates: 3, b is a", "usual: 3 values, 1 missing"):
        assert said in text
