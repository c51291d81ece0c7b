"""Flat charts of a run, by plotly as SVG: they print, and need no WebGL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from icsg3d_models.properties.meaning import Meaning

from ...campaigns.campaign import Campaign
from ...campaigns.candidate import PREDICTED, Candidate
from ..rows import number

if TYPE_CHECKING:
    import plotly.graph_objects as go

INK, ACCENT, SOFT = "#1f2430", "#3b6fb6", "#9bb7dc"
ESTIMATE, HULL = "estimated_e_above_hull", "dft_e_above_hull"
FORMATION = "dft_formation_energy"
FEW = 8  # crystals; of more plotly chooses whole numbers itself


def styled(figure: go.Figure, height: int = 320) -> go.Figure:
    """Give a figure the look of the page."""
    return figure.update_layout(
        template="plotly_white", height=height, margin={"l": 60, "r": 20, "t": 20, "b": 50}, autosize=True,
        font={"family": "system-ui, sans-serif", "color": INK}, legend={"orientation": "h", "y": 1.08},
    )  # fmt: skip


def histogram(campaign: Campaign, meaning: Meaning) -> go.Figure | None:
    """Return how a prediction is spread over all screened crystals and over the selected ones."""
    import plotly.graph_objects as go

    def values(candidates: list[Candidate]) -> list[float]:
        found = (number(c.row.get(PREDICTED + meaning.name)) for c in candidates)
        return [value for value in found if value is not None]

    everything = values(campaign.candidates)
    if not everything:
        return None
    figure = go.Figure()
    figure.add_histogram(x=everything, name="all screened", marker_color=SOFT, nbinsx=40)
    figure.add_histogram(x=values(campaign.selected), name="selected", marker_color=ACCENT, nbinsx=40)
    unit = f" ({meaning.unit})" if meaning.unit else ""
    if len(everything) <= FEW:
        figure.update_yaxes(dtick=1)  # no halves of crystals
    figure.update_layout(barmode="overlay", xaxis_title=f"predicted {meaning.label}{unit}", yaxis_title="crystals")
    return styled(figure)


def comparable(meanings: dict[str, Meaning]) -> list[tuple[str, str, str, str]]:
    """Return pairs of (key, label, key, label) of energies that count from the same zero.

    A total energy has no zero in common with anything; a heat relative to competing phases has none in common with a
    formation energy from the elements.
    """
    pairs = [(ESTIMATE, "estimated energy above hull", HULL, "DFT energy above hull")]
    for meaning in meanings.values():
        if meaning.from_elements and meaning.unit == "eV/atom":
            pairs.append((PREDICTED + meaning.name, f"predicted {meaning.label}", FORMATION, "DFT formation energy"))
    return pairs


def parity(campaign: Campaign, meanings: dict[str, Meaning]) -> list[go.Figure]:
    """Return a parity plot for each pair of comparable energies that at least two candidates have."""
    import plotly.graph_objects as go

    figures = []
    for first, first_label, second, second_label in comparable(meanings):
        points = [(c.value(first), c.value(second), c.formula) for c in campaign.candidates]
        pairs = [(x, y, formula) for x, y, formula in points if x is not None and y is not None]
        if len(pairs) < 2:
            continue
        x, y, text = zip(*pairs, strict=True)
        ends = [min(*x, *y), max(*x, *y)]
        figure = go.Figure(go.Scatter(x=ends, y=ends, mode="lines", line={"color": SOFT}, showlegend=False))
        figure.add_scatter(x=x, y=y, text=text, mode="markers", marker={"size": 9, "color": ACCENT}, showlegend=False)
        figure.update_layout(xaxis_title=f"{first_label} (eV/atom)", yaxis_title=f"{second_label} (eV/atom)")
        figures.append(styled(figure, 400))
    return figures
