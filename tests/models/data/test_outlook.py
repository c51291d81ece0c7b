"""What is said of a dataset before anything is trained on it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from icsg3d_models.cli import main
from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.data.datasets import Dataset
from icsg3d_models.data.outlook import FEW, outlook
from tests.models.evaluation.crystals_by_hand import joined, perovskites

SPLIT = np.array([0] * 8 + [1, 1, 2, 2], dtype=np.uint8)


def crystals(*rare: str) -> Crystals:
    """Return twelve crystals, of SrTiO3 and KNbO3 where no others are given."""
    return joined(perovskites(*rare, *["Sr Ti O", "K Nb O"] * 6).take(range(12)))


def said(gap: np.ndarray | None = None, batch: Crystals | None = None, split: np.ndarray = SPLIT) -> str:
    """Return what is said beside the number of crystals."""
    properties = {} if gap is None else {"gap": gap}
    return "; ".join(outlook(Dataset(batch or crystals(), properties, split))[1:])


def test_nothing_is_said_where_nothing_is_odd() -> None:
    many = joined(*[crystals()] * (FEW // 8 + 1))
    split = np.tile(SPLIT, FEW // 8 + 1)
    assert outlook(Dataset(many, {"gap": np.arange(float(len(many)))}, split)) == []


def test_how_many_there_are() -> None:
    assert outlook(Dataset(crystals(), {}, SPLIT))[0].startswith("8 crystals of 2 compositions to train on, where")


def test_elements_seen_seldom_or_never() -> None:
    rare = said(batch=crystals("Ba Zr O"))
    assert "4 of 7 elements" not in rare
    assert "Ba 1" in rare
    assert "Zr 1" in rare
    assert "O" not in rare.partition("others: ")[2].replace(" ", "").split(",")
    held = np.r_[2, SPLIT[1:]].astype(np.uint8)
    assert "Zr, Ba is in no training crystal" in said(batch=crystals("Ba Zr O"), split=held)


def test_one_composition() -> None:
    assert "all training crystals are SrTiO3" in said(batch=joined(perovskites(*["Sr Ti O"] * 12)))


def test_parts_without_crystals() -> None:
    words = "; ".join(outlook(Dataset(crystals(), {}, np.zeros(12, dtype=np.uint8))))
    assert "the validation part is empty" in words
    assert "the test part is empty" in words
    assert outlook(Dataset(crystals(), {}, np.ones(12, dtype=np.uint8)))[0].startswith("the train part is empty")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({8: np.nan, 9: np.nan}, "gap has no value in the validation part"),
        ({3: 1e300}, "gap is far off in 1 crystals, and is refused as a target: c3 (1e+300)"),
        (dict.fromkeys(range(8), np.nan), "gap has 0 values in the training part"),
        (dict.fromkeys(range(8), 2.0), "gap has 8 values in the training part, all alike"),
    ],
)
def test_properties(changes: dict[int, float], words: str) -> None:
    gap = np.arange(12.0)
    for place, value in changes.items():
        gap[place] = value
    found = said(gap)
    assert (words in found) if words else ("gap" not in found)


def test_it_is_shown_by_prepare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.chdir(tmp_path)
    for number, structure in enumerate(crystals().structures()):
        structure.to(filename=f"c{number}.cif")
    Path("settings.json").write_text(json.dumps({"source": "."}))
    main(["prepare", "settings.json"])
    results = json.loads(Path("results.json").read_text())
    assert "before you train on it:" in capsys.readouterr().out
    assert any("compositions to train on" in text for text in results["tables"]["summary"]["outlook"])
