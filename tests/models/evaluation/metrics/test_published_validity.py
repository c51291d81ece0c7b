"""Structural and compositional validity."""

import numpy as np
import pytest

from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.evaluation.metrics.published_validity import composition_validity, conditions, structure_validity
from tests.models.evaluation.crystals_by_hand import crystal, joined


@pytest.mark.parametrize(("distance", "valid"), [(0.499, False), (0.501, True)])
def test_distance_between_sites(distance: float, valid: bool) -> None:
    pair = crystal(np.eye(3) * 4, [[0, 0, 0], [distance / 4, 0, 0]], "O", "O")
    across_the_edge = crystal(np.eye(3) * 4, [[0.01, 0, 0], [1.01 - distance / 4, 0, 0]], "O", "O")
    assert structure_validity(joined(pair, across_the_edge)).tolist() == [valid, valid]


def test_nearest_image_in_a_sheared_cell() -> None:
    # b is a lattice vector plus seven times a: rounding fractional differences would miss the close image
    cell = np.array([[3.0, 0, 0], [21.0, 3, 0], [0, 0, 3]])
    site = np.linalg.solve(cell.T, [0.0, 1.6, 0.0]) % 1
    close = np.linalg.solve(cell.T, [0.3, 1.6, 0.0]) % 1
    assert structure_validity(crystal(cell, [site.tolist(), close.tolist()], "Na", "Cl")).tolist() == [False]


def test_volume_and_own_images() -> None:
    flat = crystal(np.diag([5.0, 5.0, 0.0039]), [[0, 0, 0]], "C")  # 0.0975 Å³
    thin = crystal(np.diag([5.0, 5.0, 0.0041]), [[0, 0, 0]], "C")  # 0.1025 Å³; own images are not looked at
    assert structure_validity(joined(flat, thin)).tolist() == [False, True]


def test_nothing_and_nonsense_are_not_valid() -> None:
    batch = Crystals.from_arrays(
        [np.eye(3) * 4, np.eye(3) * np.nan, np.eye(3) * 4],
        [np.zeros((0, 3)), np.zeros((1, 3)), np.full((2, 3), np.nan)],
        [np.zeros(0), np.array([8]), np.array([8, 8])],
        ["empty", "no cell", "no place"],
    )
    assert not structure_validity(batch).any()
    assert composition_validity(batch.take([0, 1])).tolist() == [False, True]


def test_compositions_by_hand() -> None:
    a = np.eye(3) * 5
    cases = {
        ("Na", "Cl"): True,  # +1 -1
        ("Na", "Cl", "Cl"): False,  # no Na 2+
        ("C", "C"): True,  # one element
        ("Fe", "Ni", "Al"): True,  # all metals
        ("Sr", "Ti", "O", "O", "O"): True,  # 2 + 4 = 6
        ("Sr", "Sr", "O", "O", "O"): False,  # Sr 3+ does not exist
        ("Cs", "F", "F", "F"): False,  # Cs 3+ does not exist
    }
    batch = joined(
        *(crystal(a, np.random.default_rng(0).random((len(s), 3)).tolist(), *s) for s in cases),
    )
    assert dict(zip(cases, composition_validity(batch).tolist(), strict=True)) == cases


def test_conditions_name_version_and_flags() -> None:
    text = conditions()["composition"]
    for word in ("smact", "version", "smact14", "use_pauling_test True", "include_alloys True", "mixed_valence False"):
        assert word in text
