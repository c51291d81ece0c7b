"""METRe and cRMSE: a sample serves every known crystal of its composition, and what is not found costs stol."""

from __future__ import annotations

import numpy as np
import pytest

from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.evaluation.metrics.prediction import distances_of, everyone_to_reference, match_rate_of
from icsg3d_models.evaluation.metrics.reconstruction import STOL

ROCK_SALT = [[0, 0, 0], [0.5, 0.5, 0.5]]
CELLS = {"rock salt": np.array([[0.0, 2.8, 2.8], [2.8, 0.0, 2.8], [2.8, 2.8, 0.0]]), "CsCl": 3.4 * np.eye(3)}


def crystals(*kinds: tuple[str, list[int]]) -> Crystals:
    """Return crystals of two sites, of a kind and with these atomic numbers."""
    return Crystals.from_arrays(
        [CELLS[kind] for kind, _ in kinds], [np.array(ROCK_SALT)] * len(kinds), [np.array(z) for _, z in kinds],
        [f"c{number}" for number in range(len(kinds))],
    )  # fmt: skip


def test_polymorphs_may_be_found_in_any_order() -> None:
    true = crystals(("rock salt", [11, 17]), ("CsCl", [11, 17]), ("rock salt", [3, 9]))
    samples = crystals(("CsCl", [11, 17]), ("rock salt", [11, 17]))  # the other way round, and none of LiF
    one_by_one = np.stack([distances_of(samples.take([i]), [0], 1, true, i) for i in range(2)])
    assert match_rate_of(one_by_one, 1)[0] == 0.0
    found, corrected = everyone_to_reference(samples, true)
    assert found == pytest.approx(2 / 3)
    assert corrected == pytest.approx(STOL / 3, abs=1e-6)


def test_nothing_made_finds_nothing() -> None:
    true = crystals(("CsCl", [11, 17]))
    assert everyone_to_reference(true.take([]), true) == (0.0, STOL)
