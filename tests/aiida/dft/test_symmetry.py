"""Symmetrising keeps what tells sites apart: magnetic kinds, masses, Hubbard terms; disorder is refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from aiida import orm

from aiida_icsg3d.dft.errors import CrystalError
from aiida_icsg3d.dft.symmetry import check_ordered, symmetrise_structure, symmetrised
from tests.aiida.dft.crystals import disordered, iron, nickel_oxide, rock_salt, with_u

pytestmark = pytest.mark.usefixtures("aiida_profile")


def kinds(structure: orm.StructureData) -> list[str]:
    """Return the kinds of the sites, sorted."""
    return sorted(structure.get_site_kindnames())


def test_magnetic_kinds_and_their_cell_are_kept() -> None:
    assert kinds(symmetrised(iron(("Fe1", "Fe2")), 0.1)) == ["Fe1", "Fe2"]
    assert kinds(symmetrised(iron(), 0.1)) == ["Fe"]
    made = symmetrise_structure(nickel_oxide(), orm.Float(0.1))
    assert kinds(made) == ["Ni1", "Ni2", "O", "O"]
    assert made.get_cell_volume() == pytest.approx(nickel_oxide().get_cell_volume())
    assert len(symmetrised(nickel_oxide(("Ni", "Ni")), 0.1).sites) == 2


def test_sites_of_one_kind_go_onto_their_symmetry() -> None:
    moved = orm.StructureData(cell=[[2.87, 0, 0], [0, 2.87, 0], [0, 0, 2.87]])
    for kind, x in (("Fe1", 0.0), ("Fe2", 1.46)):
        moved.append_atom(position=(x, x, x), symbols="Fe", name=kind)
    made = symmetrised(moved, 0.1)
    assert made.get_pymatgen().get_distance(0, 1) == pytest.approx(2.87 * np.sqrt(3) / 2)


def test_hubbard_terms_are_kept_by_kind() -> None:
    made = symmetrised(with_u(nickel_oxide(), "Ni1", "Ni2"), 0.1)
    terms = {
        made.sites[t.atom_index].kind_name: (t.atom_manifold, t.value, t.hubbard_type) for t in made.hubbard.parameters
    }
    assert terms == {"Ni1": ("3d", 5.0, "U"), "Ni2": ("3d", 5.0, "U")}


def test_terms_between_sites_leave_the_crystal_as_it_is() -> None:
    given = with_u(nickel_oxide(), "Ni1")
    given.initialize_intersites_hubbard("Ni1", "3d", "O", "2p", 1.0, "V")
    made = symmetrised(given, 0.1)
    assert made.hubbard == given.hubbard
    assert made.get_site_kindnames() == given.get_site_kindnames()


def test_masses_are_kept() -> None:
    node = orm.StructureData(cell=[[0, 4, 4], [4, 0, 4], [4, 4, 0]])
    node.append_atom(position=(0, 0, 0), symbols="Fe", name="Fe57", mass=57.0)
    assert symmetrised(node, 0.1).get_kind("Fe57").mass == 57.0


def test_a_layer_is_left_as_it_is() -> None:
    layer = rock_salt("Mg")
    layer.pbc = (True, True, False)
    made = symmetrised(layer, 0.1)
    assert made.pbc == (True, True, False)
    assert made.cell == layer.cell


def test_order_of_the_sites_is_that_of_a_formula() -> None:
    assert [site.kind_name for site in symmetrised(rock_salt("Mg"), 0.1).sites] == ["Mg", "O"]


@pytest.mark.parametrize(
    ("symbols", "weights", "words"),
    [("Fe Al", [0.5, 0.5], r"is shared \(Fe 0.5, Al 0.5\)"), ("Fe", [0.5], r"is partly empty \(Fe 0.5\)")],
)
def test_disorder_is_refused(symbols: str, weights: list[float], words: str) -> None:
    with pytest.raises(CrystalError, match=words):
        check_ordered(disordered(symbols, weights))
    with pytest.raises(CrystalError, match="make ordered crystals of it first"):
        symmetrised(disordered(symbols, weights), 0.1)
