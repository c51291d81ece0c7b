"""Calibration of uncertainties: errors drawn from known distributions, and bins worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from icsg3d_models.evaluation.metrics.calibration import confidence_curve, normal_share, share_within, uncertainty_bins

LEVELS = np.arange(1, 10) / 10


def draw(n: int = 40_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    sigma = rng.uniform(0.1, 2.0, n)
    return rng.normal(0, sigma), sigma


def test_errors_as_predicted_are_calibrated() -> None:
    error, sigma = draw()
    bins = uncertainty_bins(error, sigma, 10)
    np.testing.assert_allclose(bins.observed, bins.predicted, rtol=0.05)
    assert bins.expected_error < 0.03
    np.testing.assert_allclose(confidence_curve(error, sigma, LEVELS), LEVELS, atol=0.01)
    assert share_within(error, sigma, 2) == pytest.approx(normal_share(2), abs=0.005)


def test_uncertainties_half_as_large_as_the_errors() -> None:
    error, sigma = draw()
    assert uncertainty_bins(error, sigma / 2, 10).expected_error == pytest.approx(1, abs=0.05)
    assert share_within(error, sigma / 2, 2) == pytest.approx(normal_share(1), abs=0.01)
    assert (confidence_curve(error, sigma / 2, LEVELS) < LEVELS - 0.03).all()


def test_bins_by_hand() -> None:
    bins = uncertainty_bins(np.array([3.0, 1.0, 0.0, -4.0]), np.array([2.0, 0.5, 0.5, 1.0]), 2)
    np.testing.assert_array_equal(bins.count, [2, 2])
    np.testing.assert_allclose(bins.predicted, [0.5, math.sqrt(2.5)])
    np.testing.assert_allclose(bins.observed, [math.sqrt(0.5), math.sqrt(12.5)])
    by_hand = ((math.sqrt(0.5) - 0.5) / 0.5 + (math.sqrt(12.5) - math.sqrt(2.5)) / math.sqrt(2.5)) / 2
    assert bins.expected_error == pytest.approx(by_hand)


def test_normal_shares() -> None:
    assert normal_share(1) == pytest.approx(0.6827, abs=1e-4)
    assert normal_share(2) == pytest.approx(0.9545, abs=1e-4)


def test_more_bins_than_crystals() -> None:
    with pytest.raises(ValueError, match="3 crystals in 4 bins"):
        uncertainty_bins(np.ones(3), np.ones(3), 4)
