"""Crystal structure prediction: equal crystals are one, the best comes first, and every size of the cell is tried."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymatgen.core import Structure

import icsg3d_models
from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.crystals.crystal_file import read_crystal_file, write_crystal_file
from icsg3d_models.prediction.predict import WORTH, Drawn, as_drawn, ranked, relaxed, run
from icsg3d_models.results import Report
from icsg3d_models.settings import PredictSettings

GENERAL = Path(icsg3d_models.__file__).parent / "pretrained" / "general"
SALT = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])


def drawn(confidence: list[float], energy: list[float] | None = None) -> Drawn:
    """Return CsCl, rock salt, CsCl again (another size and origin), rock salt as CsCl in the sites exchanged."""
    fcc = np.array([[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]])
    crystals = Crystals.from_arrays(
        [4.1 * np.eye(3), fcc, 4.3 * np.eye(3), 2 * 4.1 * np.eye(3)[[0, 1, 2]] * np.array([0.5, 0.5, 1.0])],
        [SALT, SALT, (SALT + 0.3) % 1, np.array([[0, 0, 0], [0, 0, 0.5], [0.5, 0.5, 0.25], [0.5, 0.5, 0.75]])],
        [np.array([55, 17]), np.array([55, 17]), np.array([55, 17]), np.array([55, 55, 17, 17])],
        ["caesium chloride", "rock salt", "larger", "doubled"],
    )
    values = np.full(4, np.nan) if energy is None else np.array(energy)
    return Drawn(crystals, np.array(confidence), values)


def test_what_comes_up_often_is_first() -> None:
    """Three of four are CsCl, of which the surest stands for all."""
    assert ranked(drawn([0.7, 0.99, 0.8, 0.6])) == [(2, 3), (1, 1)]


def test_by_energy_where_there_is_one() -> None:
    """The lowest of equal crystals stands for them, and rock salt is lower than CsCl."""
    assert ranked(drawn([0.9] * 4, [-3.0, -3.4, -3.1, -3.05])) == [(1, 1), (2, 3)]
    assert ranked(drawn([0.9] * 4, [-3.0, -3.4, np.nan, -3.05]))[0][1] == 3  # one is missing: not by energy


def settings(**changes: Any) -> PredictSettings:
    models = {name: str(GENERAL / f"{name}.safetensors") for name in ("vae", "unet", "prior")}
    return PredictSettings.model_validate({**models, "device": "cpu", "threads": 1, **changes})


def test_sizes_of_the_cell() -> None:
    assert settings(composition="C", most_atoms=4).sizes == [1, 2, 3, 4]
    assert settings(composition="Ti2O4", most_atoms=10).sizes == [3, 6, 9]
    assert settings(composition="Ti2O4").sizes == [6]
    assert settings(composition="TiO2", n_atoms=12).sizes == [12]
    for wrong, message in (
        ({}, "composition"),
        ({"composition": "CaTiO3", "most_atoms": 4}, "has 5 at least"),
        ({"composition": "CaTiO3", "most_atoms": 10, "n_atoms": 5}, "both given"),
        ({"composition": "CaTiO3", "n_atoms": 7}, "hold a multiple of 5"),
    ):
        with pytest.raises(ValueError, match=message):
            settings(**wrong)


def test_a_perovskite_is_predicted(tmp_path: Path) -> None:
    """The shipped models know CaTiO3: the first row is a cubic perovskite of about the right size."""
    report = Report("predict", tmp_path, quiet=True)
    run(settings(composition="CaTiO3", n_samples=6), report)
    with open(tmp_path / "predicted.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert report.counts["samples"] == 6
    assert report.counts["distinct"] == len(rows) == len(read_crystal_file(tmp_path / "predicted.h5"))
    assert [int(row["rank"]) for row in rows] == list(range(1, len(rows) + 1))
    assert sum(int(row["found"]) for row in rows) == report.counts["crystals"]
    assert {row["formula"] for row in rows} == {"CaTiO3"}
    best = Structure.from_str(rows[0]["cif"], fmt="cif")
    assert best.composition.reduced_formula == "CaTiO3"
    titanium = [index for index, site in enumerate(best) if site.specie.symbol == "Ti"]
    around = best.get_neighbors(best[titanium[0]], 2.4)
    assert sorted(site.specie.symbol for site in around) == ["O"] * 6
    assert report.tables["best"][0]["id"] == rows[0]["id"]


def test_several_sizes_are_ranked_together(tmp_path: Path) -> None:
    report = Report("predict", tmp_path, quiet=True)
    run(settings(composition="C", most_atoms=4, n_samples=2), report)
    assert report.counts["cells"] == 4
    assert report.counts["samples"] == 8
    assert report.counts["crystals"] + sum(report.tables["reasons"].values()) == 8


def test_a_potential_relaxes_and_ranks(tmp_path: Path) -> None:
    """Copper by effective medium theory: fcc is lower than simple cubic, and argon is not known to it."""
    fcc = 3.7 * np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    made = Crystals.from_arrays(
        [2.5 * np.eye(3), 6 * np.eye(3), fcc], [np.zeros((1, 3))] * 3, [np.array([z]) for z in (29, 18, 29)],
        ["s000000", "s000001", "s000002"],
    )  # fmt: skip
    write_crystal_file(tmp_path / "crystals.h5", made)
    chosen = settings(composition="Cu", potential={"name": "ase:ase.calculators.emt.EMT"})
    reasons: Counter[str] = Counter()
    after, energy, kept = relaxed(chosen, made, tmp_path, reasons)
    assert (after.ids, kept) == (("s000000", "s000002"), [0, 2])
    assert energy[1] < energy[0] - 0.1
    assert sum(reasons.values()) == 1
    assert [index for index, _ in ranked(Drawn(after, np.ones(2), energy))] == [1, 0]
    alike, own, there = as_drawn(chosen, made, tmp_path, reasons)
    assert (alike.ids, there) == (("s000000", "s000002"), [0, 2])
    assert own[0] > own[1]  # as they are: stretched alike, fcc is lower
    assert energy[0] < own[0]
    alone = made.take([1])
    write_crystal_file(tmp_path / "crystals.h5", alone)
    (tmp_path / "relax.jsonl").unlink()
    nothing, _, _ = relaxed(chosen, alone, tmp_path, reasons)
    assert len(nothing) == 0
    assert any("not relaxed" in reason for reason in reasons)


def test_energies_as_drawn_are_weighed_with_how_often_a_crystal_comes_up() -> None:
    """Three of one crystal against one of another: worth ln 3 of a tenth of an eV/atom."""
    cells = [3.0 * np.eye(3)] * 3 + [np.diag([2.5, 3.0, 4.0])]
    made = Crystals.from_arrays(
        cells, [np.zeros((1, 3))] * 4, [np.array([29])] * 4, [f"s{i:06d}" for i in range(4)]
    )  # fmt: skip
    worth = WORTH * np.log(3)
    for gap, first in ((1.1 * worth, 3), (0.9 * worth, 0)):
        drawn = Drawn(made, np.ones(4), np.array([0.0, 0.0, 0.0, -gap]))
        assert ranked(drawn, relaxed=False)[0] == (first, 1 if first else 3)
        assert ranked(drawn)[0][0] == 3
