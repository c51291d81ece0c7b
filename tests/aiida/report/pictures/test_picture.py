"""The picture and its labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from aiida_icsg3d.report.pictures.picture import Panel, draw_picture, mathtext_formula, mathtext_spacegroup

PEROVSKITE = Structure(
    Lattice.cubic(3.9), ["Pb", "Ti", "O", "O", "O"], [[0.5] * 3, [0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]
)


@pytest.mark.parametrize(
    ("formula", "shown"),
    [("PbTiO3", "PbTiO$_{3}$"), ("Ba3Nb", "Ba$_{3}$Nb"), ("Ca(OH)2", "Ca(OH)$_{2}$"), ("Si", "Si")],
)
def test_formula(formula: str, shown: str) -> None:
    assert mathtext_formula(formula) == shown


def test_spacegroup() -> None:
    assert mathtext_spacegroup("Pm-3m") == r"$Pm\bar{3}m$"
    assert mathtext_spacegroup("P6_3/mmc") == r"$P6_{3}/mmc$"
    assert mathtext_spacegroup("$\\input{x}$") == "$input x$".replace(" ", "")


def test_picture_is_drawn_with_and_without_dft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    monkeypatch.setattr("aiida_icsg3d.report.pictures.picture.DPI", 40)
    smaller = PEROVSKITE.copy()
    smaller.scale_lattice(3.7**3)
    panels = [Panel(PEROVSKITE, smaller, "a", "b", "c"), Panel(PEROVSKITE, None, "a", "b", "DFT failed [401]")]
    with Image.open(draw_picture(panels, tmp_path / "picture.png")) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    rows, columns, _ = pixels.shape
    saturated = (pixels.max(axis=2) - pixels.min(axis=2)) > 80
    assert saturated[: rows // 2, 2 * columns // 3 :].any()  # a relaxed crystal in the first row
    assert not saturated[rows // 2 : -30, 2 * columns // 3 :].any()  # none in the second
    with pytest.raises(ValueError, match="no candidate"):
        draw_picture([], tmp_path / "none.png")
