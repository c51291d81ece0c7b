"""Densities, numbers of elements and Wasserstein distances."""

import numpy as np
import pytest

from icsg3d_models.crystals.contents import mass_densities
from icsg3d_models.evaluation.conditioning import target_deviation
from icsg3d_models.evaluation.metrics.distributions import draw, element_counts, wasserstein
from tests.models.evaluation.crystals_by_hand import crystal, joined, perovskites


def test_density_of_rock_salt() -> None:
    # 58.4428 u in (5.6402 Å)³ / 4: 2.163 g/cm³ (Na 22.98977, Cl 35.453 u)
    primitive = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]) * 5.6402
    salt = crystal(primitive, [[0, 0, 0], [0.5, 0.5, 0.5]], "Na", "Cl")
    assert mass_densities(salt) == pytest.approx([(22.98977 + 35.453) * 1.66053907 / (5.6402**3 / 4)], rel=1e-5)
    assert mass_densities(joined(salt, perovskites("Sr Ti O")))[0] == pytest.approx(mass_densities(salt)[0])


def test_element_counts() -> None:
    assert element_counts(joined(perovskites("Sr Ti O", "O Ti O"), perovskites("C C C"))).tolist() == [3, 2, 1]


def test_wasserstein_by_hand() -> None:
    assert wasserstein(np.array([0.0, 1.0]), np.array([3.0, 4.0])) == pytest.approx(3)
    # half of the mass moves by 1
    assert wasserstein(np.array([2, 3]), np.array([3, 3, 3, 3])) == pytest.approx(0.5)
    assert np.isnan(wasserstein(np.zeros(0), np.ones(2)))


def test_draw_takes_valid_ones_without_repetition() -> None:
    valid = np.arange(100) % 2 == 0
    chosen = draw(valid, 20, seed=1)
    assert len(set(chosen.tolist())) == 20
    assert valid[chosen].all()
    assert (chosen == draw(valid, 20, seed=1)).all()
    assert not np.array_equal(chosen, draw(valid, 20, seed=2))
    assert draw(valid, 60, seed=1).tolist() == np.flatnonzero(valid).tolist()


def test_deviation_from_target() -> None:
    assert target_deviation(np.array([0.0, 1.0, 2.0]), 1.0) == pytest.approx(2 / 3)
    assert target_deviation(np.array([0.0, 1.0]), np.array([1.0, 1.0])) == 0.5
    with pytest.raises(ValueError, match="1 of 2 predictions are not finite"):
        target_deviation(np.array([0.0, np.nan]), 1.0)
