"""Phase diagrams of the chemical systems of a run: the hull of its verdicts, and where the candidates lie.

Two elements: formation energy over composition. Three: the triangle of compositions, with the lines between phases
that coexist. Drawn as SVG by plotly. The hull is that which the verdict of the best candidate of a system was judged
against; other candidates of the run are phases of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from icsg3d_models.crystals.formulas import chemical_formula

from ...campaigns.campaign import Campaign
from ...campaigns.candidate import Candidate
from .flat import ACCENT, INK, SOFT, styled

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST = 4  # diagrams on a page
ON_HULL = 1e-3  # eV/atom
STABLE, ABOVE = "#2f7d4f", "#b9bec9"
DIAMOND = {"size": 13, "symbol": "diamond", "color": ACCENT, "line": {"color": INK, "width": 1}}


@dataclass(frozen=True)
class System:
    """A chemical system of a run.

    :param elements: symbols, in the order of the axes.
    :param energies: phase -> formation energy, eV/atom; of the elements 0.
    :param candidates: with a verdict in this system, best first.
    :param label: functional of all energies. :param lacks: phases that the hull should hold and does not.
    """

    elements: tuple[str, ...]
    energies: dict[str, float]
    candidates: list[Candidate]
    label: str
    lacks: list[str]

    @property
    def caption(self) -> str:
        """What is drawn, in a sentence."""
        lacking = f"; {', '.join(self.lacks)} not computed" if self.lacks else ""
        return f"{'-'.join(self.elements)}, {self.label}, {len(self.energies)} phases{lacking}"


def systems(campaign: Campaign) -> list[System]:
    """Return the systems of the candidates whose verdict carries the energies of its phases, best first."""
    found: dict[frozenset[str], list[Candidate]] = {}
    for candidate in campaign.best:
        if (candidate.verdict or {}).get("energies") and value_of(candidate) is not None:
            found.setdefault(frozenset(symbols(candidate.formula)), []).append(candidate)
    made = []
    for candidates in found.values():
        verdict: Any = candidates[0].verdict
        energies = {chemical_formula(str(k)): float(v) for k, v in verdict["energies"].items()}
        lacks = [chemical_formula(str(formula)) for formula in verdict.get("lacks") or ()]
        made.append(System(symbols(candidates[0].formula), energies, candidates, str(verdict["label"]), lacks))
    return made[:MOST]


def symbols(formula: str) -> tuple[str, ...]:
    """Return the elements of a formula in the order in which it is written."""
    return tuple(dict.fromkeys(re.findall(r"[A-Z][a-z]?", formula)))


def value_of(candidate: Candidate) -> float | None:
    """Return the formation energy of a candidate by DFT, eV/atom."""
    value = (candidate.verdict or {}).get("formation_energy_per_atom")
    return float(value) if isinstance(value, (int, float)) else None


def phase_diagrams(campaign: Campaign) -> tuple[list[tuple[str, go.Figure]], list[str]]:
    """Return caption and figure of each system of two or three elements, and why there is none of the others."""
    drawn, notes = [], []
    for system in systems(campaign):
        if len(system.elements) in (2, 3):
            figure = binary(system) if len(system.elements) == 2 else ternary(system)
            drawn.append((system.caption, figure))
        else:
            notes.append(f"No phase diagram of {'-'.join(system.elements)}: those of two and three elements are drawn.")
    return drawn, notes


def diagram_of(system: System) -> Any:
    """Return pymatgen's phase diagram of the phases, without the candidates that are judged."""
    from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
    from pymatgen.core import Composition

    entries = []
    for formula, energy in system.energies.items():
        composition = Composition(formula)
        entries.append(PDEntry(composition, energy * composition.num_atoms, formula))
    return PhaseDiagram(entries)


def points(system: System, diagram: Any) -> list[tuple[str, list[float], float, float]]:
    """Return formula, fractions of the elements, formation energy and height above the hull of each phase."""
    found = []
    for entry in diagram.all_entries:
        fractions = [entry.composition.get_atomic_fraction(symbol) for symbol in system.elements]
        found.append((entry.name, fractions, diagram.get_form_energy_per_atom(entry), diagram.get_e_above_hull(entry)))
    return found


def words(formula: str, energy: float, above: float) -> str:
    """Return what is said of a phase when it is pointed at."""
    place = (
        "on the hull" if abs(above) < ON_HULL else f"{abs(above):.3f} eV/atom {'above' if above > 0 else 'below'} it"
    )
    return f"{formula}<br>{energy:+.3f} eV/atom, {place}"


def of_candidates(system: System) -> tuple[list[list[float]], list[float], list[str], list[str]]:
    """Return fractions, formation energies, formulas and words of the candidates."""
    from pymatgen.core import Composition

    places, energies, names, said = [], [], [], []
    for candidate in system.candidates:
        composition, verdict, value = Composition(candidate.formula), candidate.verdict or {}, value_of(candidate)
        places.append([composition.get_atomic_fraction(symbol) for symbol in system.elements])
        energies.append(value or 0.0)
        names.append(candidate.formula)
        said.append(f"candidate {words(candidate.formula, value or 0.0, float(verdict['e_above_hull']))}")
    return places, energies, names, said


def binary(system: System) -> go.Figure:
    """Return formation energies over the fraction of the second element, and the hull."""
    import plotly.graph_objects as go

    diagram = diagram_of(system)
    figure = go.Figure()
    every = sorted(points(system, diagram), key=lambda point: point[1][1])
    hull = [point for point in every if point[3] < ON_HULL]
    figure.add_scatter(x=[p[1][1] for p in hull], y=[p[2] for p in hull], mode="lines", line={"color": STABLE},
                       name="hull", hoverinfo="skip", showlegend=False)  # fmt: skip
    for name, stable, colour in (("on the hull", True, STABLE), ("above it", False, ABOVE)):
        some = [p for p in every if bool(p[3] < ON_HULL) is stable]
        figure.add_scatter(
            x=[p[1][1] for p in some], y=[p[2] for p in some], mode="markers+text", name=name,
            marker={"size": 9, "color": colour}, text=[p[0] for p in some], textposition="top center",
            customdata=[words(p[0], p[2], p[3]) for p in some], hovertemplate="%{customdata}<extra></extra>",
        )  # fmt: skip
    places, energies, names, said = of_candidates(system)
    figure.add_scatter(x=[p[1] for p in places], y=energies, mode="markers+text", name="candidates", text=names,
                       textposition="bottom center", customdata=said, hovertemplate="%{customdata}<extra></extra>",
                       marker=DIAMOND)  # fmt: skip
    figure.update_layout(
        xaxis={"title": f"fraction of {system.elements[1]}", "range": [-0.05, 1.05]},
        yaxis_title="formation energy (eV/atom)",
    )
    return styled(figure, 420)


def ternary(system: System) -> go.Figure:
    """Return the triangle of compositions: phases, the lines between those that coexist, and the candidates."""
    import plotly.graph_objects as go

    diagram = diagram_of(system)
    every = points(system, diagram)
    corners: dict[str, list[list[float]]] = {"a": [], "b": [], "c": []}
    of_entry = {entry.name: p for entry, p in zip(diagram.all_entries, every, strict=True)}
    edges = {tuple(sorted(pair)) for facet in diagram.facets for pair in combinations(map(int, facet), 2)}
    for first, second in edges:
        ends = [of_entry[diagram.qhull_entries[index].name][1] for index in (first, second)]
        for axis, number in (("a", 0), ("b", 1), ("c", 2)):
            corners[axis] += [ends[0][number], ends[1][number], None]  # type: ignore[list-item]
    figure = go.Figure(go.Scatterternary(**corners, mode="lines", line={"color": SOFT, "width": 1.2},
                                         hoverinfo="skip", showlegend=False))  # fmt: skip
    for name, stable, colour in (("on the hull", True, STABLE), ("above it", False, ABOVE)):
        some = [p for p in every if bool(p[3] < ON_HULL) is stable]
        figure.add_scatterternary(
            **axes([p[1] for p in some]), mode="markers+text", name=name, text=[p[0] for p in some],
            textposition=label_places([p[1] for p in some]), cliponaxis=False, marker={"size": 9, "color": colour},
            customdata=[words(p[0], p[2], p[3]) for p in some], hovertemplate="%{customdata}<extra></extra>",
        )  # fmt: skip
    places, _, names, said = of_candidates(system)
    figure.add_scatterternary(
        **axes(places), mode="markers+text", name="candidates", text=names, textposition="bottom center",
        customdata=said, hovertemplate="%{customdata}<extra></extra>", cliponaxis=False,
        marker=DIAMOND,
    )  # fmt: skip
    plain = {"showticklabels": False, "showgrid": False, "ticks": "", "title": ""}  # the elements are named as phases
    figure.update_layout(ternary={"sum": 1, "aaxis": plain, "baxis": plain, "caxis": plain})
    return styled(figure, 460)


def axes(fractions: list[list[float]]) -> dict[str, list[float]]:
    """Return fractions of three elements as plotly takes them."""
    return {axis: [place[number] for place in fractions] for number, axis in enumerate("abc")}


def label_places(fractions: list[list[float]]) -> list[str]:
    """Return where the labels of phases stand: in turn below and above along the foot, where they are close."""
    places = ["top center"] * len(fractions)
    foot = sorted((place[2], row) for row, place in enumerate(fractions) if place[0] == 0)
    for number, (_, row) in enumerate(foot):
        places[row] = "top center" if number % 2 else "bottom center"
    return places
