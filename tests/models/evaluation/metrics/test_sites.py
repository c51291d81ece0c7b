"""Site, species and lattice errors."""

import numpy as np
import pytest

from icsg3d_models.crystals.cells import cell_parameters
from icsg3d_models.evaluation.metrics.sites import (
    compare_sites,
    lattice_errors,
    site_errors,
    species_accuracy,
)
from tests.models.evaluation.crystals_by_hand import IDEAL, perovskites

CUBE = np.eye(3) * 4.0


def test_assignment_is_the_best_one_not_the_nearest_first() -> None:
    # on a line of 10 Å: true 0 and 1, predicted 0.9 and 2.2. Nearest first would pair 1 with 0.9 and leave
    # 0 with 2.2 (squares 0.01 + 4.84); the best pairs 0 with 0.9 and 1 with 2.2 (0.81 + 1.44).
    cell = np.diag([10.0, 30, 30])
    true = np.array([[0.0, 0, 0], [0.1, 0, 0]]), np.array([6, 7])
    predicted = np.array([[0.09, 0, 0], [0.22, 0, 0]]), np.array([6, 8])
    found = site_errors(predicted, true, cell)
    assert sorted(found.displacements) == pytest.approx([0.9, 1.2])
    assert (found.species_right, found.missing, found.spurious) == (1, 0, 0)


def test_images_across_the_edge_and_in_a_sheared_cell() -> None:
    one = np.array([8])
    assert site_errors((np.array([[0.99, 0, 0]]), one), (np.array([[0.01, 0, 0]]), one), CUBE).displacements == (
        pytest.approx([0.08])
    )
    sheared = np.array([[3.0, 0, 0], [21.0, 3, 0], [0, 0, 3]])
    here, there = (np.linalg.solve(sheared.T, [x, 1.6, 0.0])[None] % 1 for x in (0.0, 0.3))
    assert site_errors((there, one), (here, one), sheared).displacements == pytest.approx([0.3])


def test_missing_and_spurious_sites() -> None:
    numbers = np.array([38, 22, 8, 8, 8])
    fewer = site_errors((IDEAL[:3], numbers[:3]), (IDEAL, numbers), CUBE)
    assert (fewer.species_right, fewer.missing, fewer.spurious) == (3, 2, 0)
    more = site_errors((np.vstack([IDEAL, [[0.25, 0.25, 0.25]]]), np.append(numbers, 1)), (IDEAL, numbers), CUBE)
    assert (more.species_right, more.missing, more.spurious) == (5, 0, 1)
    assert more.displacements == pytest.approx(np.zeros(5))
    nothing = site_errors((np.zeros((0, 3)), np.zeros(0)), (IDEAL, numbers), CUBE)
    assert (nothing.species_right, nothing.missing) == (0, 5)


def test_sites_of_missing_crystals_count_as_wrong() -> None:
    true = perovskites("Sr Ti O", "Ba Ti O")
    errors = compare_sites(true.take([1]), true)
    assert errors[0] is None
    assert species_accuracy(errors, true) == 0.5


def test_cell_parameters_and_errors() -> None:
    hexagonal = np.array([[[3.0, 0, 0], [-1.5, 1.5 * np.sqrt(3), 0], [0, 0, 5]]])
    lengths, angles = cell_parameters(hexagonal)
    assert lengths[0] == pytest.approx([3, 3, 5])
    assert angles[0] == pytest.approx([90, 90, 120])
    length_errors, angle_errors = lattice_errors(hexagonal * 1.1, hexagonal)
    assert length_errors[0] == pytest.approx([0.3, 0.3, 0.5])
    assert angle_errors[0] == pytest.approx([0, 0, 0], abs=1e-9)
