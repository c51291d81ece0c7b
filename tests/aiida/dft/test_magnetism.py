"""Starting moments: which crystals have some, which orders their cells allow, what a run ended in."""

from __future__ import annotations

import pytest
from aiida import orm
from pymatgen.core import Lattice, Structure

from aiida_icsg3d.dft import magnetism
from aiida_icsg3d.dft.magnetism import ANTIFERROMAGNETIC, FERROMAGNETIC, NONMAGNETIC
from tests.aiida.dft.crystals import from_pymatgen, iron, nickel_oxide, rock_salt, with_u

pytestmark = pytest.mark.usefixtures("aiida_profile")


def perovskite(elements: str, supercell: tuple[int, int, int] = (1, 1, 1)) -> orm.StructureData:
    """Return a cubic ABO3 or a supercell of it."""
    sites = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    first, second = elements.split()
    return from_pymatgen(Structure(Lattice.cubic(3.9), [first, second, "O", "O", "O"], sites) * supercell)


@pytest.mark.parametrize(
    ("structure", "orders"),
    [
        (lambda: perovskite("Pb Ti"), (NONMAGNETIC,)),
        (lambda: perovskite("La Fe"), (FERROMAGNETIC,)),
        (lambda: perovskite("La Fe", (2, 1, 1)), (FERROMAGNETIC, ANTIFERROMAGNETIC)),
        (lambda: rock_salt("Mn"), (FERROMAGNETIC,)),
        (lambda: rock_salt("Mg"), (NONMAGNETIC,)),
        (lambda: nickel_oxide(), (FERROMAGNETIC, ANTIFERROMAGNETIC)),
        (lambda: perovskite("Fe Co"), (FERROMAGNETIC,)),  # one site of each element: neither cancels
    ],
)
def test_orders_to_start_from(structure: object, orders: tuple[str, ...]) -> None:
    assert magnetism.starting_order(structure()) == orders  # type: ignore[operator]


def test_nearest_neighbours_are_antiparallel() -> None:
    """Eight iron sites of LaFeO3: G type, every iron antiparallel to its six neighbours."""
    structure = perovskite("La Fe", (2, 2, 2))
    signs = magnetism.antiparallel(structure)
    assert signs is not None
    assert sum(signs.values()) == 0
    crystal = structure.get_pymatgen()
    for index, sign in signs.items():
        near = [n.index for n in crystal.get_neighbors(crystal[index], 4.0) if n.index in signs]
        assert len(near) == 6
        assert {signs[i] for i in near} == {-sign}


def test_kinds_that_are_given_are_the_order() -> None:
    """Four sites, told apart as somebody wanted: layers, not every neighbour."""
    node = orm.StructureData(cell=[[3.0, 0, 0], [0, 3.0, 0], [0, 0, 12.0]])
    for index, kind in enumerate(("Fe1", "Fe1", "Fe2", "Fe2")):
        node.append_atom(position=(0, 0, 3.0 * index), symbols="Fe", name=kind)
    assert magnetism.antiparallel(node) == {0: 1, 1: 1, 2: -1, 3: -1}
    assert magnetism.tell_spins_apart(node).get_site_kindnames() == ["Fe1", "Fe1", "Fe2", "Fe2"]


def test_spins_are_told_apart_by_kind() -> None:
    made = magnetism.tell_spins_apart(iron())
    assert made.get_site_kindnames() == ["Fe1", "Fe2"]
    assert magnetism.moments(made, ANTIFERROMAGNETIC, {"Fe": 5}) == {"Fe1": 5.0, "Fe2": -5.0}
    assert magnetism.moments(iron(), FERROMAGNETIC, {"Fe": 5}) == {"Fe": 5.0}
    assert magnetism.moments(rock_salt("Mn"), FERROMAGNETIC, {"Mn": 5, "O": 0.6}) == {"Mn": 5.0, "O": 0.0}
    assert made.creator.process_label == "tell_spins_apart"


def test_hubbard_terms_follow_their_element() -> None:
    made = magnetism.tell_spins_apart(with_u(nickel_oxide(("Ni", "Ni")), "Ni"))
    assert made.get_site_kindnames() == ["Ni1", "Ni2", "O", "O"]
    assert {made.sites[term.atom_index].kind_name: term.value for term in made.hubbard.parameters} == {
        "Ni1": 5,
        "Ni2": 5,
    }


@pytest.mark.parametrize(
    ("total", "absolute", "found"),
    [(4.6, 4.8, FERROMAGNETIC), (0.0, 9.1, ANTIFERROMAGNETIC), (0.0, 0.02, NONMAGNETIC), (None, None, None)],
)
def test_what_a_run_ended_in(total: float | None, absolute: float | None, found: str | None) -> None:
    assert magnetism.order_found(total, absolute, 2) == found


def test_every_carrier_has_a_size() -> None:
    sizes = magnetism.element_sizes()
    assert all(sizes[symbol] > 0 for symbol in magnetism.CARRIERS)
