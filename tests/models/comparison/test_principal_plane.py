"""The plane of a training set: against the eigenvectors of its covariance, and what it must not depend on."""

from __future__ import annotations

import numpy as np
import pytest

from icsg3d_models.comparison.fingerprint import fingerprint_of
from icsg3d_models.comparison.principal_plane import described, principal_plane
from icsg3d_models.crystals.batch import Crystals
from tests.models.evaluation.crystals_by_hand import perovskites

TRAINED = perovskites("Sr Ti O", "Ba Ti O", "Ca Zr O", "K Nb O", "Cs Pb I", "K Mg F", "Na Zn F", "Pb Ti O")


def test_the_axes_are_the_eigenvectors_of_the_covariance() -> None:
    training = fingerprint_of(TRAINED, "known")
    plane = principal_plane(training)
    values = (described(training) - plane.mean) / plane.scale
    variances, vectors = np.linalg.eigh(np.cov(values.T))
    assert np.abs(np.einsum("ij,ji->i", plane.axes, vectors[:, [-1, -2]])) == pytest.approx([1, 1])
    assert plane.shares == pytest.approx(variances[[-1, -2]] / variances.sum())
    places = plane.places(training)
    assert places.mean(axis=0) == pytest.approx([0, 0], abs=1e-9)
    assert np.cov(places.T) == pytest.approx(np.diag(variances[[-1, -2]]), abs=1e-9)


def test_neither_cell_nor_scale_nor_origin_moves_a_crystal() -> None:
    plane = principal_plane(fingerprint_of(TRAINED, "known"))
    one = next(TRAINED.take([0]).structures())
    larger = one.copy()
    larger.scale_lattice(1.3 * one.volume)
    shifted = one.copy()
    shifted.translate_sites(range(5), [0.13, 0.4, 0.27])
    others = fingerprint_of(Crystals.from_structures([one, one * [2, 1, 1], larger, shifted]), "")
    assert plane.places(others) == pytest.approx(np.tile(plane.places(others)[0], (4, 1)), abs=0.05)


def test_two_crystals_decide_no_plane() -> None:
    with pytest.raises(ValueError, match="2 crystals decide no plane"):
        principal_plane(fingerprint_of(TRAINED.take([0, 1]), "known"))
