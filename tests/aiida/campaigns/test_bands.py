"""Bands are read from the graph: their zero, their gap, and the labels of the path."""

from __future__ import annotations

import numpy as np
import pytest
from aiida import orm

from aiida_icsg3d.campaigns.properties.bands import level_and_gap, read_bands
from aiida_icsg3d.report.charts.bands import draw_bands

K = np.linspace(0, 1, 11)
VALENCE, CONDUCTION = 2.0 - K**2, 3.5 + (K - 0.7) ** 2


def test_an_indirect_gap_by_counting_electrons_and_by_the_fermi_energy() -> None:
    energies = np.stack([VALENCE, CONDUCTION], axis=1)[None]  # one doubly occupied band
    for fermi in (None, 2.9):
        zero, gap = level_and_gap(energies, 2.0, fermi)
        assert zero == pytest.approx(2.0)
        assert gap == pytest.approx(1.5)


def test_metals_have_none() -> None:
    crossing = np.stack([VALENCE, CONDUCTION - 2.0], axis=1)[None]
    assert level_and_gap(crossing, 2.0, None)[1] is None
    assert level_and_gap(crossing, 2.0, 1.8) == (1.8, None)


def test_spins_share_the_fermi_energy() -> None:
    up, down = np.stack([VALENCE, CONDUCTION], axis=1), np.stack([VALENCE - 0.3, CONDUCTION - 0.5], axis=1)
    zero, gap = level_and_gap(np.stack([up, down]), 2.0, 2.5)
    assert (zero, gap) == (pytest.approx(2.0), pytest.approx(1.0))


@pytest.mark.usefixtures("aiida_profile")
def test_the_path_has_its_labels_and_no_jumps() -> None:
    data = orm.BandsData()
    data.set_cell([[2 * np.pi, 0, 0], [0, 2 * np.pi, 0], [0, 0, 2 * np.pi]])  # reciprocal vectors of 1 Å⁻¹
    data.set_kpoints([[0, 0, 0], [0.25, 0, 0], [0.5, 0, 0], [0.5, 0.5, 0], [0.5, 0.5, 0.5]])
    data.labels = [(0, "GAMMA"), (2, "X"), (3, "M"), (4, "R")]
    data.set_bands(np.stack([np.full(5, 1.0), np.full(5, 4.0)], axis=1), units="eV")
    bands = read_bands(data, {"number_of_electrons": 2.0})
    assert bands.distance.tolist() == pytest.approx([0, 0.25, 0.5, 0.5, 0.5])  # X, M and R follow one another: pieces
    assert bands.ticks == {0.0: "Γ", 0.5: "X|M|R"}
    assert bands.gap == pytest.approx(3.0)
    assert bands.words == "gap 3.00 eV along the path"
    figure = draw_bands(bands)
    assert len(figure.data) == 1
    assert list(figure.data[0].y[:5]) == [0.0] * 5
