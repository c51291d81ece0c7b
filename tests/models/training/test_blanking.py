"""What a prior is told of a training crystal: some conditions, and more elements than it holds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from icsg3d_models.conditions import CONDITIONS, Known
from icsg3d_models.conditions.space import ConditionSpace, blocks_of
from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.training.blanking import blanked, widened

KNOWN = Known([6, 8, 22, 82], {"energy": (0.0, 1.0)})
SPACE = ConditionSpace(blocks_of([*(c.name for c in CONDITIONS), "target energy"], KNOWN), KNOWN)
IDEAL = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])


@pytest.fixture
def full() -> torch.Tensor:
    """Return the description of one crystal, a thousand times."""
    crystal = Crystals.from_arrays([3.9 * np.eye(3)], [IDEAL], [np.array([82, 22, 8, 8, 8])], ["PbTiO3"])
    return torch.from_numpy(SPACE.describe(crystal, {"energy": np.array([1.0])})).repeat(1000, 1)


def test_conditions_are_blanked_whole(full: torch.Tensor) -> None:
    seen = blanked(SPACE, full, torch.Generator().manual_seed(0))
    for place in SPACE.blocks.values():
        there = seen[:, place.stop - 1] > 0
        assert 0.2 < there.float().mean() < 0.8
        assert not seen[~there][:, place].any()
        assert seen[there][:, place].equal(full[there][:, place])
    assert (seen == 0).all(dim=1).float().mean() > 0.08


def test_a_rate_for_all(full: torch.Tensor) -> None:
    seen = blanked(SPACE, full, torch.Generator().manual_seed(0), 0.3, free=0.0)
    shares = [float((seen[:, place.stop - 1] > 0).float().mean()) for place in SPACE.blocks.values()]
    assert shares == pytest.approx([0.7] * len(shares), abs=0.05)


def test_only_elements_are_added(full: torch.Tensor) -> None:
    seen = widened(SPACE, full, torch.Generator().manual_seed(0))
    place = SPACE.blocks["elements"]
    assert (seen[:, place] >= full[:, place]).all()
    assert (seen[:, place] > full[:, place]).any()
    others = torch.ones(SPACE.size, dtype=torch.bool)
    others[place] = False
    assert seen[:, others].equal(full[:, others])
