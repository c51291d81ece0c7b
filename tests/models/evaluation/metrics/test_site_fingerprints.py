"""Fingerprints of structures and compositions against an independent implementation and by hand."""

import json
from pathlib import Path

import numpy as np
import pytest

from icsg3d_models.evaluation.metrics import site_fingerprints
from icsg3d_models.evaluation.metrics.composition_features import (
    STATISTICS,
    composition_features,
    elemental_table,
    scaled_features,
    scaler,
)
from icsg3d_models.evaluation.metrics.site_fingerprints import fingerprint, labels, structure_fingerprints
from tests.models.evaluation.crystals_by_hand import crystal, joined, perovskites

FROZEN = json.loads(Path(__file__).with_name("fixtures").joinpath("fingerprints.json").read_text())


@pytest.mark.parametrize("name", FROZEN["crystals"])
def test_agrees_with_matminer(name: str) -> None:
    frozen = FROZEN["crystals"][name]
    cell, frac, numbers = (np.array(frozen[key]) for key in ("cell", "frac", "numbers"))
    # rounded weights within CrystalNN make a last digit of the coordinates worth up to 1e-3
    assert fingerprint((cell, frac, numbers)) == pytest.approx(frozen["structure"], abs=1e-6)
    assert composition_features(numbers) == pytest.approx(frozen["composition"], rel=1e-9)


def test_labels_are_matminers() -> None:
    assert labels() == FROZEN["labels"]["structure"]
    mine = [f"MagpieData {statistic} {name}" for name in elemental_table()[0] for statistic in STATISTICS]
    assert mine == FROZEN["labels"]["composition"]


def test_ideal_coordination_by_hand() -> None:
    # every atom of diamond is a tetrahedron: coordination 4 for certain, order parameter "tetrahedral" 1
    frozen = FROZEN["crystals"]["diamond"]
    values = dict(
        zip(labels(), fingerprint(tuple(np.array(frozen[k]) for k in ("cell", "frac", "numbers"))), strict=True)
    )
    assert values["wt CN_4"] == pytest.approx(1, abs=1e-3)
    assert values["tetrahedral CN_4"] == pytest.approx(1, abs=1e-3)
    assert sum(value for name, value in values.items() if name.startswith("wt")) == pytest.approx(1, abs=1e-3)


def test_features_of_water_by_hand() -> None:
    # H 1, O 8; fractions 2/3 and 1/3: mean 10/3, mean deviation 2/3 · 7/3 + 1/3 · 14/3 = 28/9, mode H
    found = dict(zip(STATISTICS, composition_features(np.array([1, 8, 1]))[:6], strict=True))
    assert found == pytest.approx(
        {"minimum": 1, "maximum": 8, "range": 7, "mean": 10 / 3, "avg_dev": 28 / 9, "mode": 1}
    )


def test_mode_takes_the_least_on_a_tie_and_nothing_depends_on_order_or_multiples() -> None:
    assert composition_features(np.array([17, 11]))[5] == 11
    assert composition_features(np.array([8, 22, 8, 38, 8])) == pytest.approx(
        composition_features(np.array([38, 22, 8, 8, 8] * 4))
    )


def test_missing_values() -> None:
    names, table = elemental_table()
    assert table.shape == (119, 22)
    assert np.isnan(table[10, names.index("Electronegativity")])  # Ne has none on Pauling's scale
    neon = composition_features(np.array([10, 10]))
    column = slice(6 * names.index("Electronegativity"), 6 * names.index("Electronegativity") + 6)
    assert np.isnan(neon[column]).all()
    assert (scaled_features(neon[None])[0, column] == 0).all()
    # beyond Bk nothing is published: no fingerprint rather than an average one
    assert np.isnan(scaled_features(composition_features(np.array([8, 100]))[None])).all()


def test_published_scaler_is_consistent() -> None:
    mean, std = (values.reshape(22, 6) for values in scaler())
    # of any data: the mean range is the mean largest minus the mean least value
    assert mean[:, 2] == pytest.approx(mean[:, 1] - mean[:, 0], rel=1e-9)
    assert (std > 0).all()
    assert (mean[:, 0] <= mean[:, 3]).all()
    assert (mean[:, 3] <= mean[:, 1]).all()


def test_impossible_geometry_has_no_fingerprint() -> None:
    batch = joined(perovskites("Sr Ti O"), crystal(np.diag([4.0, 4, 0]), [[0, 0, 0]], "O"))
    found = structure_fingerprints(batch)
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()


def test_cache_is_used_and_added_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "prints.h5"
    calls: list[int] = []
    original = fingerprint

    def counted(arrays: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
        calls.append(len(arrays[2]))
        return original(arrays)

    monkeypatch.setattr(site_fingerprints, "fingerprint", counted)
    batch = perovskites("Sr Ti O", "Sr Ti O", "Ba Ti O")
    first = structure_fingerprints(batch.take([0, 1]), cache=cache)
    assert calls == [5]  # the second is the same crystal
    again = structure_fingerprints(batch, cache=cache)
    assert calls == [5, 5]
    assert (again[:2] == first).all()
    assert (structure_fingerprints(batch) == again).all()
