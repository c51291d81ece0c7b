"""Where the candidates lie among the crystals that the models were trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from icsg3d_models.comparison.fingerprint import Fingerprint, fingerprint_of, read_fingerprint
from icsg3d_models.comparison.principal_plane import principal_plane
from icsg3d_models.crystals.batch import CrystalError
from icsg3d_models.crystals.validity import structure_problems

from ...campaigns.campaign import Campaign
from ...campaigns.candidate import Candidate
from ...campaigns.graph import inputs_of, is_stage
from ...data import CrystalDatasetData
from ...data.structures import crystals_of_nodes
from .flat import ACCENT, INK, SOFT, styled

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST_TRAINED, MOST_MADE, MOST_NAMED = 3000, 300, 6
"""Points that are drawn of the training crystals, of the candidates (the best ones), and selected ones with a name."""
WHAT = ("Each point is a crystal, placed by its fingerprint: how its distances are spread, and its elements. The axes "
        "are the two directions in which the training crystals differ most (principal components)")  # fmt: skip


def training_map(campaign: Campaign) -> tuple[go.Figure | None, str]:
    """Return the map, and what is to be said of it: why there is none, or what it shows."""
    reference = reference_of(campaign)
    if reference is None:
        return None, "No map of the training data: the run does not know what its models were trained on."
    try:
        training = trained_on(reference)
        plane = principal_plane(training)
    except (CrystalError, ValueError) as exception:
        return None, f"No map of the training data: {exception}."
    drawn, made = made_of(campaign)
    if not drawn:
        return None, "No map of the training data: no crystal of this run is in the profile."
    rows = np.linspace(0, len(training) - 1, min(len(training), MOST_TRAINED)).astype(int).tolist()
    some, share = training.take(rows), plane.shares.sum()
    of = f"{len(some):,} of {len(training):,}" if len(some) < len(training) else f"all {len(training):,}"
    words = f"{WHAT}, with {share:.0%} of their variance; {of} training crystals of {training.name}."
    return figure_of(plane.places(some), list(some.formulas), drawn, plane.places(made)), words


def reference_of(campaign: Campaign) -> Any:
    """Return what novelty was judged against, None where nothing was given."""
    for process in campaign.node.called_descendants:
        if is_stage(process, "screen") and "reference" in (inputs := inputs_of(process, "screen")):
            return inputs["reference"]
    return None


def trained_on(reference: Any) -> Fingerprint:
    """Return the fingerprint of the training crystals.

    :raises CrystalError: the file cannot be read, or the training part is empty.
    """
    if not isinstance(reference, CrystalDatasetData):
        with reference.as_path() as path:
            return read_fingerprint(path)
    dataset = reference.get_dataset()
    rows = dataset.part("train")
    chosen = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_TRAINED)).astype(int)]
    crystals = dataset.crystals.take(chosen)
    sound = [row for row, problem in enumerate(structure_problems(crystals)) if problem is None]
    return fingerprint_of(crystals.take(sound), dataset.name)


def made_of(campaign: Campaign) -> tuple[list[Candidate], Fingerprint]:
    """Return the best candidates whose crystals are possible, in the order of their fingerprint."""
    best = {c.id: c for c in [*campaign.best, *campaign.candidates]}
    nodes = {name: node for name, c in list(best.items())[:MOST_MADE] if (node := campaign.structure(c)) is not None}
    crystals = crystals_of_nodes(nodes)
    sound = [row for row, problem in enumerate(structure_problems(crystals)) if problem is None]
    prints = [(crystals.ids[row], fingerprint_of(crystals.take([row]), "")) for row in sound]
    together = Fingerprint(
        "",
        tuple(one.formulas[0] for _, one in prints),
        np.array([one.sites[0] for _, one in prints], dtype=np.int64),
        tuple(one.lists[0] for _, one in prints),
    )
    return [best[name] for name, _ in prints], together


def figure_of(trained: np.ndarray, formulas: list[str], drawn: list[Candidate], made: np.ndarray) -> go.Figure:
    """Return the drawing: training crystals, candidates, and the selected ones with their formulas.

    :param trained: (T, 2); ``made``: (C, 2) of the candidates ``drawn``.
    """
    import plotly.graph_objects as go

    trained, made = np.round(trained, 3), np.round(made, 3)
    figure = go.Figure(go.Scatter(
        x=trained[:, 0].tolist(), y=trained[:, 1].tolist(), text=formulas, hoverinfo="text", mode="markers",
        name="training data", marker={"size": 4, "color": SOFT, "opacity": 0.45},
    ))  # fmt: skip
    chosen = np.array([c.row.get("selected") is True for c in drawn])
    for name, rows, marker in (
        ("set aside", np.flatnonzero(~chosen), {"size": 7, "color": INK, "symbol": "x-thin-open"}),
        ("selected", np.flatnonzero(chosen), {"size": 11, "color": ACCENT, "line": {"width": 1.5, "color": "white"}}),
    ):
        if len(rows):
            said = [f"{drawn[row].formula} {drawn[row].id}" for row in rows]
            named = name == "selected" and len(rows) <= MOST_NAMED
            figure.add_scatter(
                x=made[rows, 0].tolist(), y=made[rows, 1].tolist(), mode="markers+text" if named else "markers",
                text=[drawn[row].formula for row in rows] if named else None, textposition="middle right",
                hovertext=said, hoverinfo="text", name=name, marker=marker,
            )  # fmt: skip
    hidden = {"showticklabels": False, "zeroline": False}
    figure.update_layout(xaxis={"title": "first component", **hidden}, yaxis={"title": "second component", **hidden})
    return styled(figure, 440)
