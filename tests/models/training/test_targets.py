"""Targets that nothing can be learned from are refused with the reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from icsg3d_models.data.datasets import Dataset
from icsg3d_models.results import Report, StageError
from icsg3d_models.settings import TrainSettings
from icsg3d_models.training.targets import check_targets, far_off
from icsg3d_models.training.train import run

TARGET = "formation_energy_per_atom"


def with_values(dataset: Dataset, values: np.ndarray) -> Dataset:
    return replace(dataset, properties={TARGET: values})


def test_a_property_without_values_in_the_validation_part(dataset: Dataset, tmp_path: Path) -> None:
    """It ended in a traceback of `load_state_dict`, since no validation was ever better than none."""
    values = dataset.values(TARGET).copy()
    values[dataset.split == 1] = np.nan
    blank = with_values(dataset, values)
    with pytest.raises(StageError, match=f"no known value of '{TARGET}' in the validation part") as raised:
        check_targets([TARGET], blank, validated=True)
    assert raised.value.status == "input_incompatible"
    check_targets([TARGET], blank, validated=False)  # a prior is validated by its crystals
    blank.write(tmp_path / "dataset.h5")
    settings = TrainSettings.model_validate({"network": "cgcnn", "targets": [TARGET], "device": "cpu"})
    with pytest.raises(StageError, match="no known value"):
        run(settings, Report("train", tmp_path))


def test_a_property_without_values_in_the_test_part_is_left_out_of_the_metrics(
    dataset: Dataset, tmp_path: Path
) -> None:
    values = dataset.values(TARGET).copy()
    values[dataset.split == 2] = np.nan
    replace(dataset, properties={TARGET: values, "other": dataset.values(TARGET)}).write(tmp_path / "dataset.h5")
    settings = {"network": "cgcnn", "targets": [TARGET, "other"], "device": "cpu", "optimiser": {"max_epochs": 1},
                "options": {"members": 2, "width": 8, "hidden": 8}}  # fmt: skip
    report = Report("train", tmp_path)
    run(TrainSettings.model_validate(settings), report)
    assert "test_mae_other" in report.scalars
    assert not [name for name in report.scalars if name.startswith("test_") and TARGET in name]
    assert all(np.isfinite(value) for value in report.scalars.values())


@pytest.mark.parametrize("value", [1e300, 1e30, -1e9, np.inf])
def test_an_outlier_is_named(dataset: Dataset, value: float) -> None:
    values = dataset.values(TARGET).copy()
    place = int(dataset.part("train")[3])
    values[place] = value
    with pytest.raises(StageError, match=f"is far off in {dataset.crystals.ids[place]} ") as raised:
        check_targets([TARGET], with_values(dataset, values), validated=True)
    assert raised.value.status == "input_incompatible"


@pytest.mark.parametrize("values", [[], [1.0], [1.0, np.nan], [2.0, 2.0, 2.0]])
def test_too_few_values_or_all_alike(dataset: Dataset, values: list[float]) -> None:
    column = np.full(len(dataset), np.nan)
    column[dataset.part("train")[: len(values)]] = values
    with pytest.raises(StageError, match="nothing can be learned from them"):
        check_targets([TARGET], with_values(dataset, column), validated=True)


def test_what_is_rare_or_wide_is_not_far_off() -> None:
    rng = np.random.default_rng(0)
    assert far_off(rng.lognormal(0, 2.5, 5000)) == []
    assert far_off(np.r_[np.zeros(900), rng.uniform(1, 8, 100)]) == []  # gaps of metals and some others
    assert far_off(np.array([1.0, 2.0])) == []
    assert far_off(np.array([np.nan, 1.0, 2.0, 3.0, np.nan, 1e12, -np.inf])) == [5, 6]
