"""Densities of states of relaxed candidates, total and by element."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...campaigns.campaign import Campaign
from ...campaigns.properties.dos import Densities, densities_of
from ..rows import colours
from .flat import SOFT, styled

if TYPE_CHECKING:
    import plotly.graph_objects as go

WINDOW = (-8.0, 7.0)  # eV from the Fermi energy


def density_charts(campaign: Campaign) -> list[tuple[str, go.Figure]]:
    """Return caption and figure of every relaxed candidate whose densities of states were computed."""
    found = []
    for candidate in campaign.best:
        node = campaign.relaxed.get(candidate.id)
        if node is not None and (densities := densities_of(node)) is not None:
            found.append((f"{candidate.formula}, {candidate.id}: {densities.words}", draw_densities(densities)))
    return found


def draw_densities(densities: Densities) -> go.Figure:
    """Return densities over the energy; of two spins the second points down."""
    import plotly.graph_objects as go

    figure = go.Figure()
    curves = {"total": densities.total, **densities.by_element}
    for name, values in curves.items():
        colour = SOFT if name == "total" else dict(colours([name]))[name]
        for spin, (curve, sign) in enumerate(zip(values, (1, -1), strict=False)):
            figure.add_scatter(
                x=densities.energy.round(3).tolist(), y=(sign * curve).round(4).tolist(), mode="lines", name=name,
                line={"color": colour, "width": 1.5}, showlegend=spin == 0, legendgroup=name,
            )  # fmt: skip
    figure.add_vline(x=0.0, line={"color": SOFT, "width": 0.8, "dash": "dash"})
    figure.update_layout(xaxis={"title": "eV above the Fermi energy", "range": list(WINDOW)},
                         yaxis={"title": "states/eV"})  # fmt: skip
    return styled(figure, 360)
