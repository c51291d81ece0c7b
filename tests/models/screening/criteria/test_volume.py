"""Volume per atom within a window."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from icsg3d_models.screening.criteria.volume import VOLUME
from icsg3d_models.settings import ScreenSettings

from ..crystals_by_hand import batch_of, perovskite


def test_window() -> None:
    batch = batch_of([perovskite(length=length) for length in (2.5, 4.0, 8.0)])
    found = VOLUME.judge(batch)
    assert found.cells["volume_per_atom"] == pytest.approx([3.125, 12.8, 102.4])
    assert found.passed.tolist() == [False, True, False]
    assert found.reasons[2] == "102 Å³ per atom, not between 4 and 80"
    assert VOLUME.judge(batch_of([perovskite()], volume_per_atom=(13, 20))).passed.tolist() == [False]


def test_a_window_that_is_closed_is_refused() -> None:
    with pytest.raises(ValidationError, match="the first must be the smaller"):
        ScreenSettings(volume_per_atom=(20, 13))
