"""Compounds in the structures of prototypes."""

from __future__ import annotations

import pytest

from icsg3d_models.phases.distrusted import DISTRUSTED, REPAIRED
from icsg3d_models.phases.prototypes import MOST_SITES, library, structures_of, whole_library


def test_the_compound_itself_comes_first() -> None:
    found = structures_of("TiO2", most_sites=6)
    assert [one.prototype.mineral for one in found if one.exact] == ["Anatase", "Rutile"]
    assert [one.exact for one in found] == sorted((one.exact for one in found), reverse=True)
    rutile = found[1].structure
    assert rutile.volume == pytest.approx(62.4, rel=0.01)  # as measured, not scaled


def test_titanium_of_anatase_has_six_neighbours() -> None:
    """In pymatgen's library it has four, and the crystal fell apart in DFT."""
    anatase = next(one.structure for one in structures_of("TiO2") if one.prototype.mineral == "Anatase")
    (metal, *_) = [i for i, site in enumerate(anatase) if site.specie.symbol == "Ti"]
    near = sorted(other.nn_distance for other in anatase.get_neighbors(anatase[metal], 2.4))
    assert near == pytest.approx([1.934] * 4 + [1.980] * 2, abs=0.002)
    assert anatase.get_space_group_info()[1] == 141
    assert anatase.volume == pytest.approx(68.15, abs=0.01)


def test_what_cannot_be_the_crystal_is_not_offered() -> None:
    """Brookite and coesite of the library have forces of 10 and 5 eV/Å; every name of the list is in the library."""
    assert "Brookite" not in [one.prototype.mineral for one in structures_of("TiO2", most_sites=48)]
    assert {one.key for one in whole_library()} >= set(DISTRUSTED) | set(REPAIRED)
    assert not {one.key for one in library()} & set(DISTRUSTED)


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
