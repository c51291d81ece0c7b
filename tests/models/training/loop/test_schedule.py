"""Steps and epochs: a small training part gets its steps, and no more validations for that."""

from __future__ import annotations

import pytest

from icsg3d_models.settings import Optimiser
from icsg3d_models.training.loop.schedule import FINAL_RATE, WARM_UP_STEPS, Schedule, plan_steps


@pytest.mark.parametrize(
    ("options", "per_epoch", "total", "epochs", "validate_every"),
    [
        ({"max_epochs": 6}, 300, 1800, 6, 1),
        ({"max_epochs": 6, "min_steps": 1000}, 300, 1800, 6, 1),
        ({"max_epochs": 6, "min_steps": 1000}, 5, 1000, 200, 33),
        ({"max_epochs": 6, "min_steps": 1000}, 7, 1001, 143, 23),
        ({"max_epochs": 120, "min_steps": 4000, "validate_every": 10}, 1, 4000, 4000, 330),
        ({"max_epochs": 6, "max_steps": 1000}, 300, 1000, 4, 1),
        ({"max_epochs": 6, "min_steps": 1000, "max_steps": 1000}, 7, 1000, 143, 23),
        ({"max_epochs": 2, "max_steps": 10}, 300, 10, 1, 1),
    ],
)
def test_the_number_of_steps(
    options: dict[str, int], per_epoch: int, total: int, epochs: int, validate_every: int
) -> None:
    schedule = plan_steps(Optimiser.model_validate(options), per_epoch)
    assert (schedule.total, schedule.epochs, schedule.validate_every) == (total, epochs, validate_every)


def test_contradicting_numbers_of_steps_are_refused() -> None:
    with pytest.raises(ValueError, match="`min_steps` 20 is more than `max_steps` 10"):
        Optimiser(min_steps=20, max_steps=10)


def test_epochs_end_where_their_batches_do_and_with_the_training() -> None:
    schedule = Schedule(steps_per_epoch=4, total=10, validate_every=1)
    assert [step for step in range(1, 11) if schedule.ends_epoch(step)] == [4, 8, 10]


def test_the_rate_warms_up_and_falls_to_its_share() -> None:
    schedule = Schedule(steps_per_epoch=100, total=1000, validate_every=1)
    assert schedule.rate(0, 1.0) == pytest.approx(1 / WARM_UP_STEPS)
    assert schedule.rate(WARM_UP_STEPS, 1.0) == pytest.approx(1.0, abs=0.01)
    assert schedule.rate(500, 2.0) == pytest.approx(2 * (FINAL_RATE + (1 - FINAL_RATE) / 2))
    assert schedule.rate(1000, 1.0) == pytest.approx(FINAL_RATE)
