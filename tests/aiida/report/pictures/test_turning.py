"""The figure that turns: what it holds, what it shows first."""

from __future__ import annotations

import numpy as np
from pymatgen.core import Lattice, Structure

from aiida_icsg3d.report.pictures.turning import turning_figure

SITES = [[0.5] * 3, [0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]
GENERATED = Structure(Lattice.cubic(3.9), ["Pb", "Ti", "O", "O", "O"], SITES)


def test_both_crystals_lie_in_one_frame() -> None:
    relaxed = Structure(Lattice.cubic(3.8), GENERATED.species, SITES)
    figure = turning_figure(GENERATED, relaxed, None)
    parts = {trace.meta for trace in figure.data}
    assert parts == {"generated", "field", "relaxed"}
    shown = {trace.meta for trace in figure.data if trace.visible}
    assert shown == {"relaxed"}
    corner = {
        trace.meta: np.array([trace.x.max(), trace.y.max(), trace.z.max()])
        for trace in figure.data
        if trace.name == "cell"
    }
    np.testing.assert_allclose(corner["generated"] - corner["relaxed"], 0.1, atol=1e-6)


def test_without_dft_the_generated_crystal_is_shown_and_the_file_stays_small() -> None:
    figure = turning_figure(GENERATED, None, None)
    assert {trace.meta for trace in figure.data if trace.visible} == {"generated"}
    assert len(figure.to_json()) < 400_000
