"""What is drawn of a crystal: images, bonds, polyhedra, colours."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from aiida_icsg3d.report.pictures.crystal import best_origin, build_scene, element_colour, element_radius

PEROVSKITE = Structure(
    Lattice.cubic(3.9), ["Pb", "Ti", "O", "O", "O"], [[0.5] * 3, [0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]
)


def test_perovskite_has_a_cage_of_eight_and_one_octahedron() -> None:
    origin = best_origin(PEROVSKITE)
    np.testing.assert_allclose(origin, [0.5] * 3)  # the A site goes to the corner
    scene = build_scene(PEROVSKITE, origin)
    assert Counter(scene.symbols) == {"Pb": 8, "Ti": 1, "O": 6}
    assert len(scene.bonds) == 6
    ((centre, triangles),) = scene.polyhedra
    assert scene.symbols[centre] == "Ti"
    assert len(triangles) == 8
    a, b, c = (triangles - scene.positions[centre]).transpose(1, 0, 2)
    volume = np.abs(np.einsum("ij,ij->i", a, np.cross(b, c))).sum() / 6
    assert volume == pytest.approx(4 / 3 * (3.9 / 2) ** 3)


def test_octahedron_on_the_corner_is_completed_beyond_the_cell() -> None:
    scene = build_scene(PEROVSKITE, np.zeros(3))
    assert len(scene.polyhedra) == 1
    assert scene.positions.min() == pytest.approx(-3.9 / 2)


def test_rock_salt_and_an_element() -> None:
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3])
    scene = build_scene(salt.get_primitive_structure(), best_origin(salt))
    assert {len(triangles) for _, triangles in scene.polyhedra} == {8}  # NaCl6
    diamond = Structure.from_spacegroup("Fd-3m", Lattice.cubic(3.567), ["C"], [[0, 0, 0]])
    scene = build_scene(diamond, np.zeros(3))
    assert scene.bonds
    assert not scene.polyhedra
    lengths = [np.linalg.norm(scene.positions[i] - scene.positions[j]) for i, j in scene.bonds]
    np.testing.assert_allclose(lengths, 3.567 * np.sqrt(3) / 4)


def test_single_atom() -> None:
    scene = build_scene(Structure(Lattice.cubic(2.8), ["Fe"], [[0.3, 0.3, 0.3]]), np.array([0.3] * 3))
    assert scene.symbols == ["Fe"] * 8


def test_colours_and_radii() -> None:
    for symbol in ("H", "O", "Ti", "Cs", "Og", "He"):
        assert ((element_colour(symbol) >= 0) & (element_colour(symbol) <= 1)).all()
        assert 0.2 < element_radius(symbol) < 1.0
    assert element_radius("Cs") > element_radius("Ti") > element_radius("O")
