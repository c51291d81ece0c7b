"""Bands on the page: only where some were computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aiida_icsg3d.campaigns.campaign import read_campaign
from aiida_icsg3d.campaigns.properties.bands import Bands
from aiida_icsg3d.report.page import write_page
from tests.aiida.discovery_graph import build_discovery


@pytest.mark.usefixtures("aiida_profile")
def test_bands_have_a_section(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiida_icsg3d.report.page.SHOWN_CRYSTALS", 0)
    campaign = read_campaign(build_discovery(tmp_path).workchain)
    assert 'id="bands"' not in write_page(campaign, tmp_path / "a.html", {}).read_text(encoding="utf-8")
    x = np.linspace(0, 1, 5)
    made = Bands(x, np.stack([-(x**2), 2 + x], axis=1)[None], {0.0: "Γ", 1.0: "X"}, 2.0)
    monkeypatch.setattr("aiida_icsg3d.report.charts.bands.bands_of", lambda _: made)
    page = write_page(campaign, tmp_path / "b.html", {}).read_text(encoding="utf-8")
    assert "PbTiO3, s000002: gap 2.00 eV along the path" in page
    assert page.count('id="bands-') == 1  # one of two candidates was relaxed
