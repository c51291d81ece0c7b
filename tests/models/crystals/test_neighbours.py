"""Neighbour lists against hand-counted shells and against pymatgen."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.crystals.neighbours import closest_distances, neighbour_list, plane_spacings


def random_structures() -> list[Structure]:
    """Return crystals of all shapes, one of them very oblique."""
    rng = np.random.default_rng(0)
    found = [Structure(Lattice([[4, 0, 0], [40, 4, 0], [3, 53, 4]]), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])]
    while len(found) < 25:
        lattice = Lattice(rng.normal(size=(3, 3)) * 4)
        n = int(rng.integers(1, 9))
        if lattice.volume > 10:
            found.append(Structure(lattice, rng.integers(1, 90, n).tolist(), rng.random((n, 3))))
    return found


def test_equals_pymatgen_in_any_cell() -> None:
    structures = random_structures()
    crystals = Crystals.from_structures(structures)
    found = neighbour_list(crystals, 5.0)
    for index, structure in enumerate(structures):
        i, j, _, distance = structure.get_neighbor_list(5.0)
        expected = sorted(zip(i, j, np.round(distance, 6), strict=True))
        pairs = slice(found.offsets[index], found.offsets[index + 1])
        first = crystals.offsets[index]
        mine = sorted(
            zip(
                found.source[pairs] - first,
                found.target[pairs] - first,
                np.round(found.distance[pairs], 6),
                strict=True,
            )
        )
        assert len(mine) == len(expected)
        np.testing.assert_allclose(np.array(mine, float), np.array(expected, float), atol=2e-6)


@pytest.mark.parametrize(("cutoff", "expected"), [(3.0, 0), (3.1, 6), (4.4, 18), (5.4, 26)])
def test_shells_of_simple_cubic(cutoff: float, expected: int) -> None:
    crystal = Crystals.from_arrays([3.05 * np.eye(3)], [np.zeros((1, 3))], [np.array([84])], ["po"])
    assert len(neighbour_list(crystal, cutoff).source) == expected


def test_plane_spacings_of_a_sheared_cell() -> None:
    cell = np.array([[[2.0, 0, 0], [7.0, 3.0, 0], [0, 0, 5.0]]])
    # the planes that a and c span are 3 Å apart; b and c span planes at distance V / |b x c|
    np.testing.assert_allclose(plane_spacings(cell)[0], [30 / (5 * np.hypot(7, 3)), 3.0, 5.0])


def test_atoms_on_top_of_each_other_are_neighbours() -> None:
    crystal = Crystals.from_arrays([4 * np.eye(3)], [np.zeros((2, 3))], [np.array([1, 1])], ["h2"])
    assert closest_distances(crystal, 0.5).tolist() == [0.0]


def test_nothing_close_is_infinitely_far() -> None:
    crystal = Crystals.from_arrays([4 * np.eye(3)], [np.zeros((1, 3))], [np.array([1])], ["h"])
    assert closest_distances(crystal, 0.5).tolist() == [np.inf]


def test_no_crystals() -> None:
    assert len(neighbour_list(Crystals.from_arrays([], [], [], []), 5.0).source) == 0
