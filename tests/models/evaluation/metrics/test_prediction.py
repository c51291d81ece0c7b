"""Match rates of k samples, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.evaluation.metrics.prediction import distances_of, match_rate_of

SALT = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])


def test_rates_and_errors_by_hand() -> None:
    """Of four crystals one matches at once, one at the third sample, closer at the fourth, two never."""
    distances = np.array([[0.1, np.nan, 0.3, np.nan], [np.nan, np.nan, 0.2, 0.06], [np.nan] * 4, [np.nan] * 4])
    assert match_rate_of(distances, 1) == (0.25, pytest.approx(0.1))
    assert match_rate_of(distances, 2) == (0.25, pytest.approx(0.1))
    assert match_rate_of(distances, 3) == (0.5, pytest.approx((0.1 + 0.2) / 2))
    assert match_rate_of(distances, 4) == (0.5, pytest.approx((0.1 + 0.06) / 2))
    rate, rmse = match_rate_of(distances[2:], 4)
    assert rate == 0
    assert math.isnan(rmse)
    with pytest.raises(ValueError, match="with 5 samples, of which there are 4"):
        match_rate_of(distances, 5)


def test_distances_of_samples() -> None:
    """A displaced CsCl at its own place in the row, rock salt and what was not rebuilt as no match."""
    true = Crystals.from_arrays([4.1 * np.eye(3)], [SALT], [np.array([55, 17])], ["CsCl"])
    fcc = np.array([[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]])
    off = np.array([[0, 0, 0], [0.54, 0.5, 0.5]])
    made = Crystals.from_arrays([fcc, 4.1 * np.eye(3)], [SALT, off], [np.array([55, 17])] * 2, ["a", "b"])
    found = distances_of(made, [0, 3], 4, true, 0)
    assert np.isnan(found[:3]).all()
    # one of two sites is off by 0.04 a; about their common centre each is by half of it, and (V/N)^(1/3) = a / 2^(1/3)
    assert found[3] == pytest.approx(0.02 * 2 ** (1 / 3), rel=1e-6)
