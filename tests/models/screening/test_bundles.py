"""Bundles hold all crystals of a formula, and what is found does not depend on how they are cut."""

from __future__ import annotations

import numpy as np
import pytest

from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.screening import bundles as module
from icsg3d_models.screening.bundles import bundles
from icsg3d_models.screening.uniqueness import find_duplicates

from .crystals_by_hand import perovskite


def test_every_index_once_and_formulas_together() -> None:
    formulas = ["a", "b", "a", "c", "b", "d", "a"]
    parts = bundles(formulas, size=3)
    assert [part.tolist() for part in parts] == [[0, 2, 6], [1, 4, 3], [5]]
    assert bundles([], size=3) == []


def test_duplicates_do_not_depend_on_the_bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    structures = [perovskite(a, length=length) for length in (3.9, 4.0) for a in ("Pb", "Ba", "Sr")]
    crystals = Crystals.from_structures(structures)
    expected = [None, None, None, 0, 1, 2]
    assert find_duplicates(crystals, crystals.formulas()) == expected
    monkeypatch.setattr(module.bundles, "__defaults__", (1,))
    assert len(bundles(crystals.formulas())) == 3
    assert find_duplicates(crystals, crystals.formulas()) == expected
    assert np.concatenate(bundles(crystals.formulas())).tolist() == [0, 3, 1, 4, 2, 5]
