"""Bands of relaxed candidates along their paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...campaigns.campaign import Campaign
from ...campaigns.properties.bands import Bands, bands_of
from .flat import ACCENT, SOFT, styled

if TYPE_CHECKING:
    import plotly.graph_objects as go

WINDOW = (-6.0, 8.0)  # eV around the zero
COLOURS = (ACCENT, "#b6493b")  # spin up, spin down


def band_charts(campaign: Campaign) -> list[tuple[str, go.Figure]]:
    """Return caption and figure of every relaxed candidate whose bands were computed."""
    found = []
    for candidate in campaign.best:
        node = campaign.relaxed.get(candidate.id)
        if node is not None and (bands := bands_of(node)) is not None:
            found.append((f"{candidate.formula}, {candidate.id}: {bands.words}", draw_bands(bands)))
    return found


def draw_bands(bands: Bands) -> go.Figure:
    """Return bands over the path; one trace a spin, with gaps between bands."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for spin, colour, name in zip(bands.energies, COLOURS, ("spin up", "spin down"), strict=False):
        x: list[float | None] = []
        y: list[float | None] = []
        for band in spin.T:
            if band.min() < WINDOW[1] and band.max() > WINDOW[0]:
                x += [*bands.distance.round(4).tolist(), None]
                y += [*band.round(3).tolist(), None]
        figure.add_scatter(x=x, y=y, mode="lines", line={"color": colour, "width": 1.3}, name=name,
                           showlegend=len(bands.energies) > 1, hoverinfo="y")  # fmt: skip
    for at in bands.ticks:
        figure.add_vline(x=at, line={"color": SOFT, "width": 0.8})
    figure.add_hline(y=0.0, line={"color": SOFT, "width": 0.8, "dash": "dash"})
    zero = "highest occupied band" if bands.gap is not None else "Fermi energy"
    figure.update_layout(
        xaxis={"tickvals": list(bands.ticks), "ticktext": list(bands.ticks.values()), "showgrid": False,
               "range": [0, float(bands.distance[-1])]},
        yaxis={"title": f"eV above the {zero}", "range": list(WINDOW)},
    )  # fmt: skip
    return styled(figure, 400)
