"""Compounds in the structures of prototypes."""

from __future__ import annotations

import pytest

from icsg3d_models.phases.prototypes import MOST_SITES, structures_of


def test_the_compound_itself_comes_first() -> None:
    found = structures_of("TiO2", most_sites=6)
    assert [one.prototype.mineral for one in found if one.exact] == ["Anatase", "Rutile"]
    assert [one.exact for one in found] == sorted((one.exact for one in found), reverse=True)
    rutile = found[1].structure
    assert rutile.volume == pytest.approx(62.4, rel=0.01)  # as measured, not scaled


def test_both_cations_take_both_places() -> None:
    """In cubic perovskite MgTiO3 and TiMgO3 differ; in ilmenite, whose cation places are alike, they do not."""
    found = structures_of("MgTiO3")
    cubic = [one for one in found if one.prototype.aflow == "AB3C_cP5_221_a_c_b"]
    assert {one.structure.composition.reduced_formula for one in found} == {"MgTiO3"}
    assert len(cubic) <= 2
    assert any(one.prototype.mineral == "Ilmenite" for one in found)
    assert all(len(one.structure) <= MOST_SITES for one in found)


def test_no_prototype_of_a_formula() -> None:
    assert structures_of("Mg7Ti2O11") == []
