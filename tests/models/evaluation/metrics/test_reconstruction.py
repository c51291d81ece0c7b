"""Match rate and RMSE."""

import numpy as np
import pytest

from icsg3d_models.evaluation.metrics.reconstruction import match_distances, match_rate, match_rmse
from tests.models.evaluation.crystals_by_hand import IDEAL, crystal, joined, perovskites


def test_distance_is_in_units_of_the_volume_per_site() -> None:
    # CsCl, one of two atoms moved by 0.04 a along x. The matcher removes the mean displacement, which
    # leaves 0.02 a on each of two atoms: RMS 0.02 a, and (V/N)^(1/3) = a / 2^(1/3).
    a = 4.0
    true = crystal(np.eye(3) * a, [[0, 0, 0], [0.5, 0.5, 0.5]], "Cs", "Cl")
    moved = crystal(np.eye(3) * a, [[0, 0, 0], [0.54, 0.5, 0.5]], "Cs", "Cl")
    assert match_distances(moved, true) == pytest.approx([0.02 * 2 ** (1 / 3)], rel=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            lambda c: joined(crystal(c.cell[0] * 1.2, c.frac.tolist(), "Sr", "Ti", "O", "O", "O")), id="larger cell"
        ),
        pytest.param(
            lambda c: perovskites("Sr Ti O", frac=(IDEAL + np.array([0.13, 0.4, 0.77])) % 1), id="other origin"
        ),
        pytest.param(lambda c: perovskites("Sr Ti O", frac=IDEAL[:, [2, 0, 1]]), id="permuted axes"),
        pytest.param(
            lambda c: crystal(
                np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]]) @ c.cell[0],
                (IDEAL @ np.linalg.inv([[1, 0, 0], [1, 1, 0], [0, 0, 1]])).tolist(),
                *("Sr", "Ti", "O", "O", "O"),
            ),
            id="sheared cell",
        ),
    ],
)
def test_the_same_crystal_described_otherwise_matches_exactly(change) -> None:
    true = perovskites("Sr Ti O")
    other = change(true)
    other = type(other)(other.cell, other.frac, other.numbers, other.offsets, true.ids)
    assert match_distances(other, true) == pytest.approx([0.0], abs=1e-6)


def test_other_elements_and_other_arrangements_do_not_match() -> None:
    true = perovskites("Sr Ti O", "Sr Ti O")
    predicted = joined(perovskites("Ba Ti O"), perovskites("Ti Sr O"))
    predicted = type(predicted)(predicted.cell, predicted.frac, predicted.numbers, predicted.offsets, true.ids)
    assert np.isnan(match_distances(predicted, true)).all()


def test_missing_predictions_count_and_validity_gates() -> None:
    true = perovskites("Sr Ti O", "Ba Ti O", "K Nb O", "Ca Ti O")
    distances = match_distances(true.take([3, 0, 1]), true)  # K Nb O is missing; the order is free
    assert distances[[0, 1, 3]] == pytest.approx(0, abs=1e-7)
    assert np.isnan(distances[2])
    distances[1] = 0.3
    assert match_rate(distances) == 0.75
    assert match_rmse(distances) == pytest.approx(0.1)
    valid = np.array([True, False, True, True])
    assert match_rate(distances, valid) == 0.5
    assert match_rmse(distances, valid) == pytest.approx(0, abs=1e-7)


def test_no_match_has_no_rmse() -> None:
    assert match_rate(np.full(3, np.nan)) == 0
    assert np.isnan(match_rmse(np.full(3, np.nan)))
