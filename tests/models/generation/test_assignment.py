"""The composition that is asked for is kept: which peaks are atoms, and which atom is where."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from icsg3d_models.crystals.batch import Crystals, read_crystals
from icsg3d_models.fields.batches import to_batch
from icsg3d_models.fields.field_file import ArrayWriter
from icsg3d_models.fields.occupancy import occupancy_field
from icsg3d_models.generation import rebuild, segment
from icsg3d_models.generation.assignment import MOST_CANDIDATES, assign
from icsg3d_models.networks.unet import UNet, UNetConfig
from icsg3d_models.results import Report, StageError
from icsg3d_models.settings import RebuildSettings

PBTIO3 = {8: 3, 22: 1, 82: 1}


def likely(*rows: dict[int, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return candidates and log probabilities of peaks."""
    candidate = np.array([[*row] for row in rows])
    return candidate, np.log([[*row.values()] for row in rows])


def test_the_most_likely_arrangement_of_all_is_taken() -> None:
    """Against every permutation, by random probabilities; and not peak by peak."""
    rng = np.random.default_rng(0)
    atoms = [8, 8, 8, 22, 82]
    for _ in range(20):
        table = rng.dirichlet([0.5] * 3, size=5)
        found = assign(PBTIO3, np.ones(5), *likely(*(dict(zip(PBTIO3, row, strict=True)) for row in table)))
        assert not isinstance(found, str)
        column = {z: index for index, z in enumerate(PBTIO3)}
        best = max(sum(np.log(table[i, column[z]]) for i, z in enumerate(order)) for order in permutations(atoms))
        assert np.log(found.confidence).sum() == pytest.approx(best)
        assert sorted(found.number) == atoms
    # two peaks look like lead; the one that could also be titanium is titanium
    rows = [{82: 0.9, 22: 0.05, 8: 0.05}, {82: 0.55, 22: 0.44, 8: 0.01}, *[{8: 0.98, 22: 0.01, 82: 0.01}] * 3]
    found = assign(PBTIO3, np.ones(5), *likely(*rows))
    assert not isinstance(found, str)
    assert found.number.tolist() == [82, 22, 8, 8, 8]
    np.testing.assert_allclose(found.confidence, [0.9, 0.44, 0.98, 0.98, 0.98])


def test_the_strongest_peaks_are_atoms() -> None:
    """A sixth, weak peak is none; four are too few; ten are two formula units."""
    strength = np.array([0.9, 1.0, 0.6, 0.95, 1.0, 0.97])
    rows = [{82: 0.9}, {22: 0.9}, {8: 0.99}, {8: 0.9}, {8: 0.9}, {8: 0.9}]
    found = assign(PBTIO3, strength, *likely(*rows))
    assert not isinstance(found, str)
    assert found.rows.tolist() == [0, 1, 3, 4, 5]
    assert found.number.tolist() == [82, 22, 8, 8, 8]
    assert assign(PBTIO3, strength[:4], *likely(*rows[:4])) == "fewer peaks than the 5 atoms of the composition"
    whole = assign(PBTIO3, np.full(6, 0.9), *likely(*rows))
    assert whole == "more atoms than a multiple of the 5 of the composition"
    ten = assign(PBTIO3, np.ones(10), *likely(*([{82: 0.9}, {22: 0.9}, *[{8: 0.9}] * 3] * 2)))
    assert not isinstance(ten, str)
    assert sorted(ten.number.tolist()) == [8] * 6 + [22] * 2 + [82] * 2
    assert isinstance(assign(PBTIO3, np.ones(0), np.zeros((0, 2)), np.zeros((0, 2))), str)


def test_an_element_that_no_peak_shows_is_put_where_it_costs_least() -> None:
    """The U-Net knows nothing of it; the confidence says so."""
    found = assign({8: 1, 22: 1}, np.ones(2), *likely({8: 0.99, 7: 0.01}, {8: 0.4, 7: 0.6}))
    assert not isinstance(found, str)
    assert found.number.tolist() == [8, 22]
    assert found.confidence[1] < 1e-20
    refused = assign({8: 1, 22: 1}, np.ones(2), *likely({8: 0.99, 7: 0.01}, {8: 0.4, 7: 0.6}), least=0.01)
    assert refused == "the elements of the composition are not where the atoms are, at a probability of 0.01 at least"


def fields_of(crystals: Crystals, folder: Path, contents: list[list[tuple[int, int]]] | None = None) -> None:
    """Write the fields of crystals, and segments in which every site is a peak of an element that is not sure."""
    drawn = {} if contents is None else {"contents": np.array(contents, dtype=np.int16)}
    batch = to_batch(crystals)
    occupancy = occupancy_field(batch, (16, 16, 16))
    with ArrayWriter(folder / "fields.h5", {"occupancy": "", "cell": "", "sample": "", "contents": ""}) as writer:
        writer.append(
            occupancy=occupancy[:, 0].numpy(), cell=crystals.cell.astype(np.float32), sample=np.arange(len(crystals)),
            **drawn,
        )  # fmt: skip
    peak = np.rint(crystals.frac * 16).astype(np.int64) % 16
    wrong = np.where(crystals.numbers == 82, 22, crystals.numbers)  # lead is taken for titanium
    candidate = np.stack([wrong, np.where(wrong == 22, 82, 22)], axis=1)
    sure = np.where(crystals.numbers == 82, 0.6, 0.9)
    with ArrayWriter(folder / "segments.h5", segment.UNITS) as writer:
        writer.append(
            count=crystals.counts, peak=peak, number=wrong, confidence=sure, candidate=candidate,
            log_probability=np.log(np.stack([sure, 1 - sure], axis=1)),
        )  # fmt: skip


def rebuilt(folder: Path, **settings: Any) -> tuple[Crystals, Report]:
    report = Report("rebuild", folder, quiet=True)
    rebuild.run(RebuildSettings(device="cpu", **settings), report)
    with h5py.File(folder / "crystals.h5") as file:
        return read_crystals(file["crystals"]), report


def test_rebuilding_keeps_the_composition(tmp_path: Path) -> None:
    """Lead taken for titanium is put right; a cell with too few atoms is named; two atoms of titanium are two cells."""
    perovskite = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    numbers = np.array([82, 22, 8, 8, 8])
    crystals = Crystals.from_arrays(
        [4.0 * np.eye(3), 4.0 * np.eye(3)], [perovskite, perovskite[:4]], [numbers, numbers[:4]], ["a", "b"]
    )
    fields_of(crystals, tmp_path)
    free, _ = rebuilt(tmp_path)
    assert free.formulas() == ["Ti2O3", "TiO"]
    kept, report = rebuilt(tmp_path, composition="PbTiO3")
    assert kept.ids == ("s000000",)
    assert kept.sites(0)[1].tolist() == [82, 22, 8, 8, 8]
    np.testing.assert_allclose(kept.sites(0)[0], perovskite, atol=1e-3)
    assert report.tables["not_rebuilt"] == {"s000001": "fewer peaks than the 5 atoms of the composition"}
    assert report.tables["confidence"] == {"s000000": pytest.approx(0.4)}
    assert report.counts == {"samples": 2, "rebuilt": 1}
    with pytest.raises(StageError, match="2 x fewer peaks than the 10 atoms of the composition"):
        rebuilt(tmp_path, composition="PbTiO3", n_atoms=10)


def test_each_sample_gets_what_the_prior_drew_for_it(tmp_path: Path) -> None:
    """The first was drawn as PbTiO3, nothing was said of the second, the third shows less than was drawn."""
    perovskite = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    numbers = np.array([82, 22, 8, 8, 8])
    crystals = Crystals.from_arrays([4.0 * np.eye(3)] * 3, [perovskite] * 3, [numbers] * 3, ["a", "b", "c"])
    drawn = [[(8, 3), (22, 1), (82, 1)], [(0, 0)] * 3, [(8, 6), (22, 2), (82, 2)]]
    fields_of(crystals, tmp_path, drawn)
    kept, report = rebuilt(tmp_path)
    assert kept.formulas() == ["TiPbO3", "Ti2O3", "Ti2O3"]
    assert not report.tables["not_rebuilt"]
    assert report.scalars["read_as_composed"] == 0.0
    free, _ = rebuilt(tmp_path, drawn_contents=False)
    assert free.formulas() == ["Ti2O3"] * 3
    asked, _ = rebuilt(tmp_path, composition="TiPbO3")
    assert asked.formulas() == ["TiPbO3"] * 3


def test_older_segments_are_refused_where_a_composition_is_asked_for(tmp_path: Path) -> None:
    crystals = Crystals.from_arrays([4.0 * np.eye(3)], [np.zeros((1, 3))], [np.array([82])], ["a"])
    fields_of(crystals, tmp_path)
    with h5py.File(tmp_path / "segments.h5", "a") as file:
        del file["candidate"]
    assert rebuilt(tmp_path)[0].formulas() == ["Ti"]
    with pytest.raises(StageError, match="no candidate in it"):
        rebuilt(tmp_path, composition="Pb")


def test_settings() -> None:
    assert rebuild.asked_amounts(RebuildSettings(composition="TiPbO3", n_atoms=10)) == {8: 6, 22: 2, 82: 2}
    assert rebuild.asked_amounts(RebuildSettings(composition="C8")) == {6: 8}
    with pytest.raises(ValueError, match="hold a multiple of 5"):
        RebuildSettings(composition="PbTiO3", n_atoms=7)
    with pytest.raises(ValueError, match="no formula"):
        RebuildSettings(composition="")


@pytest.mark.parametrize(("allowed", "count"), [([8, 22], 2), (list(range(1, 13)), MOST_CANDIDATES)])
def test_segments_hold_the_likeliest_elements(allowed: list[int], count: int) -> None:
    """The first is the one that is named, and all of few that are allowed are there."""
    torch.manual_seed(0)
    unet = UNet(UNetConfig(elements=list(range(1, 30)), width=8)).eval()
    with torch.no_grad():
        unet.mask_head.load_state_dict({**unet.mask_head.state_dict(), "bias": torch.full((8,), 5.0)})
    crystal = Crystals.from_arrays(
        [4.0 * np.eye(3)], [np.array([[0, 0, 0], [0.5, 0.5, 0.5]])], [np.array([8, 22])], ["a"]
    )
    occupancy = occupancy_field(to_batch(crystal), (16, 16, 16))
    found = segment.segment(unet, occupancy, torch.rand(1, 16, 8, 8, 8), allowed, 0.35)
    assert found["candidate"].shape == found["log_probability"].shape == (2, count)
    assert (found["candidate"][:, 0] == found["number"]).all()
    assert set(found["candidate"].flatten().tolist()) <= set(allowed)
    torch.testing.assert_close(found["log_probability"][:, 0].exp(), found["confidence"])
    assert (found["log_probability"].diff(dim=1) <= 0).all()
