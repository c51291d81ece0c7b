"""A dataset that takes up results: what is new, what is there already, and energies that must not meet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.data.datasets import Dataset, DatasetError, read_dataset
from icsg3d_models.data.extend import extended
from icsg3d_models.data.fidelity import Fidelity, FidelityError, quantity_of
from icsg3d_models.networks.model_file import read_header
from icsg3d_models.properties.meaning import meaning_of
from icsg3d_models.results import Report
from icsg3d_models.settings import TrainSettings
from icsg3d_models.training.train import run

ENERGY = "formation_energy_per_atom"
LDA = Fidelity("LDA", "pw.x", "1f0c8a2b99887766", {"O": "aa", "Ti": "bb"})
COLUMN = "formation_energy_per_atom@LDA-1f0c8a2b"
SALT = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])
PEROVSKITE = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])


def crystals(**given: tuple[float, list[int]]) -> Crystals:
    """Return cubic crystals: name -> lattice constant and atomic numbers."""
    frac = {2: SALT, 5: PEROVSKITE}
    return Crystals.from_arrays(
        [a * np.eye(3) for a, _ in given.values()],
        [frac[len(z)] for _, z in given.values()],
        [np.array(z) for _, z in given.values()],
        list(given),
    )


@pytest.fixture
def old() -> Dataset:
    """Return CsCl to train on, CsBr to validate with and CsI to test with; heats of another functional."""
    there = crystals(train=(4.1, [55, 17]), validation=(4.3, [55, 35]), test=(4.5, [55, 53]))
    split = np.array([0, 1, 2], dtype=np.uint8)
    return Dataset(there, {ENERGY: np.array([-1.0, -2.0, -3.0])}, split, {ENERGY: "eV/atom"}, "salts", "somebody")


def extend(dataset: Dataset, new: Crystals, *energies: float, fidelity: Fidelity = LDA, **more: Any) -> Any:
    return extended(dataset, new, {ENERGY: np.array(energies)}, fidelity, **more)


def test_energies_of_another_functional_get_their_own_column(old: Dataset, tmp_path: Path) -> None:
    """The old column says nothing of the new crystals, the new one nothing of the old."""
    found = extend(old, crystals(new=(3.9, [22, 8])), -4.0)
    found.dataset.write(tmp_path / "new.h5")
    back = read_dataset(tmp_path / "new.h5")
    assert back.crystals.ids == ("train", "validation", "test", "new")
    np.testing.assert_equal(back.properties[ENERGY], [-1, -2, -3, np.nan])
    np.testing.assert_equal(back.properties[COLUMN], [np.nan, np.nan, np.nan, -4])
    assert back.fidelities == {COLUMN: LDA}
    assert back.units == {ENERGY: "eV/atom", COLUMN: "eV/atom"}
    assert (back.name, back.citation) == ("salts", "somebody")
    assert back.content_hash() == found.dataset.content_hash() != old.content_hash()
    assert found.added == ["new"]
    assert quantity_of(COLUMN) == ENERGY


def test_a_crystal_that_is_there_is_not_doubled(old: Dataset) -> None:
    """Another origin, a supercell and another volume: the same crystal, whose row gets the energy."""
    doubled = Crystals.from_arrays(
        [np.diag([4.0, 4.0, 8.0])],
        [np.array([[0.2, 0.2, 0.1], [0.2, 0.2, 0.6], [0.7, 0.7, 0.35], [0.7, 0.7, 0.85]])],
        [np.array([55, 55, 17, 17])], ["relaxed"],
    )  # fmt: skip
    found = extend(old, doubled, -1.5)
    assert (found.added, found.updated) == ([], {"relaxed": "train"})
    np.testing.assert_equal(found.dataset.properties[COLUMN], [-1.5, np.nan, np.nan])
    np.testing.assert_equal(found.dataset.crystals.cell, old.crystals.cell)
    # the same atoms in the structure of another compound of that formula are another crystal
    rock = Crystals.from_arrays(
        [np.array([[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]])], [SALT], [np.array([55, 17])], ["rock salt"]
    )
    assert extend(old, rock, -1.4).added == ["rock salt"]


def test_new_crystals_are_trained_on_but_for_compositions_held_back(old: Dataset) -> None:
    fcc = np.array([[0, 2.9, 2.9], [2.9, 0, 2.9], [2.9, 2.9, 0]])
    new = Crystals.from_arrays(
        [fcc] * 4, [SALT] * 4, [np.array(z) for z in ([55, 17], [55, 35], [55, 53], [37, 53])], list("abcd")
    )
    found = extend(old, new, -1.0, -1.1, -1.2, -1.3)
    assert found.dataset.split.tolist() == [0, 1, 2, 0, 1, 2, 0]


def test_of_equal_crystals_the_lowest_stands(old: Dataset) -> None:
    """Within one call and from call to call; each is named."""
    twice = crystals(high=(3.9, [22, 8]), low=(3.95, [22, 8]))
    first = extend(old, twice, -4.0, -4.2)
    assert (first.added, first.outdone) == (["low"], {"high": "low"})
    later = extend(first.dataset, crystals(third=(3.9, [22, 8]), fourth=(3.9, [22, 8])), -4.1, -4.3)
    assert (later.added, later.updated, later.outdone) == ([], {"fourth": "low"}, {"third": "fourth"})
    assert later.dataset.properties[COLUMN][-1] == -4.3
    again = extend(later.dataset, crystals(fifth=(3.9, [22, 8])), -4.25)
    assert (again.updated, again.outdone) == ({}, {"fifth": "low"})
    assert again.dataset.content_hash() == later.dataset.content_hash()


def test_all_figures_of_a_result_go_together(old: Dataset) -> None:
    heights = {ENERGY: np.array([-4.0, -4.2]), "e_above_hull": np.array([0.3, np.nan])}
    found = extended(old, crystals(high=(3.9, [22, 8]), low=(3.95, [22, 8])), heights, LDA)
    assert found.dataset.properties[COLUMN][-1] == -4.2
    assert np.isnan(found.dataset.properties["e_above_hull@LDA-1f0c8a2b"][-1])


def test_settings_that_differ_never_share_a_column(old: Dataset) -> None:
    """Another hash is another column; the same with another pseudopotential of oxygen is refused."""
    one = extend(old, crystals(a=(3.9, [22, 8])), -4.0).dataset
    other = Fidelity("SLA PW + PBE", "pw.x", "77777777aaaa", {"O": "cc"})
    two = extend(one, crystals(b=(3.9, [12, 8])), -3.0, fidelity=other).dataset
    name = f"{ENERGY}@SLA-PW-+-PBE-77777777"
    assert set(two.properties) == {ENERGY, COLUMN, name}
    np.testing.assert_equal(two.properties[name], [np.nan] * 4 + [-3.0])
    spoilt = Fidelity("LDA", "pw.x", LDA.settings_hash, {"O": "zz"})
    with pytest.raises(FidelityError, match=r"settings of O \(pseudopotential"):
        extend(two, crystals(c=(3.9, [12, 8])), -3.0, fidelity=spoilt)
    widened = extend(one, crystals(d=(3.9, [12, 8])), -3.0, fidelity=Fidelity("LDA", "pw.x", LDA.settings_hash,
                                                                             {"Mg": "dd", "O": "aa"}))  # fmt: skip
    assert dict(widened.dataset.fidelities[COLUMN].elements) == {"O": "aa", "Ti": "bb", "Mg": "dd"}


def test_what_says_nothing_is_refused(old: Dataset) -> None:
    one = crystals(new=(3.9, [22, 8]))
    with pytest.raises(DatasetError, match="no result to extend it with"):
        extend(old, one.take([]))
    with pytest.raises(DatasetError, match="of new is not known; leave these crystals out"):
        extend(old, one, np.nan)
    with pytest.raises(DatasetError, match="train is the name of another crystal"):
        extend(old, crystals(train=(3.9, [22, 8])), -4.0)
    with pytest.raises(DatasetError, match="no values of formation_energy_per_atom"):
        extended(old, one, {"band_gap": np.array([1.0])}, LDA)
    foreign = Dataset(old.crystals, {**old.properties, COLUMN: np.zeros(3)}, old.split, {}, "foreign")
    with pytest.raises(DatasetError, match="how formation_energy_per_atom@LDA-1f0c8a2b was obtained is not known"):
        extend(foreign, one, -4.0)
    with pytest.raises(FidelityError, match="needs a functional"):
        Fidelity("", "pw.x", "1234")


def test_a_property_model_says_what_it_was_fine_tuned_on(tmp_path: Path) -> None:
    """From heats to formation energies of LDA: the zero is another one, and the card says which."""
    from tests.models.conftest import perovskites

    before = perovskites()
    before.write(tmp_path / "before.h5")
    some = before.part("train")[:6]
    fidelity = Fidelity("LDA", "pw.x", "1f0c8a2b99887766")
    after = extend(before, renamed(before.crystals.take(some)), *(before.properties[ENERGY][some] - 3.0),
                   fidelity=fidelity).dataset  # fmt: skip
    after.write(tmp_path / "after.h5")
    common = {"network": "cgcnn", "device": "cpu", "threads": 1, "optimiser": {"max_epochs": 3, "batch_size": 8}}
    first = {"dataset": "before.h5", "targets": [ENERGY], "output": "heat.safetensors", "options": {"width": 8}}
    second = {"dataset": "after.h5", "start_from": "heat.safetensors", "targets_from": {ENERGY: COLUMN}}
    for settings in (first, second):
        run(TrainSettings.model_validate({**common, **settings}), Report("train", tmp_path))
    header = read_header(tmp_path / "model.safetensors")
    assert header.config["targets"] == [COLUMN]
    assert header.card["fine_tuned_from"]["shifts"][COLUMN] == pytest.approx(-3.0, abs=0.3)
    meaning = meaning_of(COLUMN, header.card)
    assert meaning.from_elements
    assert meaning.functional == "LDA (pw.x, settings 1f0c8a2b99887766)"
    assert "elements in their reference states" in meaning.sentence
    assert meaning_of(ENERGY, read_header(tmp_path / "heat.safetensors").card).functional == "not stated by the data"


def renamed(batch: Crystals) -> Crystals:
    return Crystals(batch.cell, batch.frac, batch.numbers, batch.offsets, tuple(f"relaxed {i}" for i in batch.ids))
