"""Who is left after each stage, and in what order."""

from __future__ import annotations

from typing import get_args

import numpy as np

from icsg3d_models.screening.criteria import CRITERIA
from icsg3d_models.screening.criterion import Finding
from icsg3d_models.screening.ranking import STAGES, first_failed, funnel_masks, order
from icsg3d_models.settings import ScreenSettings


def found(*passed: int) -> Finding:
    return Finding(np.array(passed, dtype=bool), [None] * len(passed))


FINDINGS = {
    "structure": found(1, 1, 1, 1, 0),
    "as_asked": found(1, 1, 1, 0, 1),
    "composition": found(1, 1, 1, 1, 0),
    "volume": found(1, 1, 0, 1, 1),
    "unique": found(1, 1, 1, 1, 0),
    "novel": found(1, 0, 1, 1, 1),
}


def counts(*require: str, **more: Finding) -> dict[str, int]:
    return {name: int(mask.sum()) for name, mask in funnel_masks(FINDINGS | more, 5, require).items()}


def test_order_leaves_out_what_has_no_prediction() -> None:
    values = np.array([3.0, np.nan, 1.0, 2.0, 1.0])
    passing = np.array([True, True, True, False, True])
    assert order(passing, values, descending=False).tolist() == [2, 4, 0]
    assert order(passing, values, descending=True).tolist() == [0, 2, 4]
    assert order(passing, None, descending=False).tolist() == [0, 1, 2, 4]


def test_stages_keep_their_names_and_new_ones_have_their_own() -> None:
    assert [name for name in STAGES if name in ("crystals", "valid", "unique", "novel", "selected")] == [
        "crystals", "valid", "unique", "novel", "selected",
    ]  # fmt: skip
    funnel = counts("structure", "composition", "unique", "novel")
    assert funnel == {"crystals": 5, "valid": 4, "as_asked": 3, "unique": 3, "novel": 2}
    assert list(funnel) == ["crystals", "valid", "as_asked", "unique", "novel"]
    assert counts("structure", "volume")["volume"] == 2


def test_criteria_of_one_stage_stand_together() -> None:
    stages = [criterion.stage for criterion in CRITERIA]
    assert stages == sorted(stages, key=stages.index)


def test_what_is_not_required_lets_everyone_pass() -> None:
    assert counts() == {"crystals": 5, "valid": 5, "as_asked": 4, "unique": 4, "novel": 4}


def test_each_is_set_aside_once() -> None:
    assert first_failed(FINDINGS, ["structure", "volume", "novel"]) == {
        "structure": 1, "as_asked": 1, "volume": 1, "novel": 1,
    }  # fmt: skip


def test_settings_name_the_criteria_of_the_list() -> None:
    """The settings stand below the screening and cannot import the list."""
    accepted = get_args(get_args(ScreenSettings.model_fields["require"].annotation)[0])
    assert list(accepted) == [criterion.name for criterion in CRITERIA if not criterion.always]
