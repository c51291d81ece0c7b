"""Phase diagrams hold what the verdict was judged against: phases, lines between those that coexist, heights."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition

from aiida_icsg3d.campaigns.candidate import Candidate
from aiida_icsg3d.report.charts.phases import label_places, phase_diagrams, systems
from icsg3d_models.stability.verdict import Energy, judge
from tests.aiida.discovery_graph import PHASES


def campaign(*candidates: tuple[str, float], phases: list[Energy] = PHASES) -> Any:
    """Return what a page is written of, as far as phase diagrams look at it."""
    verdicts = judge({formula: Energy(formula, energy) for formula, energy in candidates}, phases, "LDA")
    best = [Candidate(f, {"formula": f}, verdict=verdicts[f].as_dict()) for f, _ in candidates]
    return SimpleNamespace(best=best)


def trace(figure: Any, name: str) -> Any:
    return next(one for one in figure.data if one.name == name)


def test_three_elements() -> None:
    ((caption, figure),), notes = phase_diagrams(campaign(("PbTiO3", -2.40)))
    assert caption.startswith("Pb-Ti-O, LDA, 7 phases; PbTi3O7, PbTiO3 not computed")  # as it is known
    assert notes == []
    assert sorted(trace(figure, "on the hull").text) == ["O2", "Pb", "PbO", "PbO2", "Ti", "Ti2O3", "TiO2"]
    assert list(trace(figure, "above it").text) == []
    lines = figure.data[0]
    drawn = {
        frozenset(tuple(round(getattr(lines, axis)[i + end], 4) for axis in "abc") for end in (0, 1))
        for i in range(0, len(lines.a), 3)
    }
    # a triangulation of seven points that all lie on the edge of the triangle: 3 * 7 - 3 - 7 lines
    assert len(drawn) == 11
    shares = [
        tuple(round(Composition(f).get_atomic_fraction(e), 4) for e in ("Pb", "Ti", "O")) for f in ("PbO", "TiO2")
    ]
    assert frozenset(shares) in drawn
    diamond = trace(figure, "candidates")
    assert (diamond.a[0], diamond.b[0], diamond.c[0]) == (0.2, 0.2, 0.6)
    assert "-2.400 eV/atom, 0.060 eV/atom above it" in diamond.customdata[0]


def test_heights_are_those_of_pymatgen() -> None:
    phases = [*PHASES, Energy("Pb2O3", -0.5)]
    ((_, figure),) = phase_diagrams(campaign(("PbTiO3", -2.40), phases=phases))[0]
    entries = [PDEntry(Composition(p.formula), p.energy_per_atom * Composition(p.formula).num_atoms) for p in phases]
    diagram = PhaseDiagram(entries)
    above = trace(figure, "above it")
    assert list(above.text) == ["Pb2O3"]
    expected = diagram.get_e_above_hull(entries[-1])
    assert f"{expected:.3f} eV/atom above it" in above.customdata[0]


def test_two_elements_and_a_candidate_below_the_hull() -> None:
    phases = [p for p in PHASES if "Ti" not in p.formula]
    ((caption, figure),), _ = phase_diagrams(campaign(("PbO2", -1.3), phases=phases))
    assert caption.startswith("Pb-O")
    hull = figure.data[0]
    assert list(hull.x) == pytest.approx([0, 0.5, 2 / 3, 1])
    assert list(hull.y) == pytest.approx([0, -1.2, -0.9, 0])
    diamond = trace(figure, "candidates")
    assert (diamond.x[0], diamond.y[0]) == (pytest.approx(2 / 3), -1.3)
    assert "below it" in diamond.customdata[0]


def test_what_is_not_drawn_is_said() -> None:
    phases = [*PHASES, Energy("Mg", 0.0), Energy("N2", 0.0)]
    drawn, notes = phase_diagrams(campaign(("MgPbTiO4", -2.0), phases=phases))
    assert drawn == []
    assert "No phase diagram of " in notes[0]
    old = SimpleNamespace(best=[Candidate("a", {"formula": "PbO"}, verdict={"e_above_hull": 0.1, "phases": ["PbO"]})])
    assert systems(old) == []  # type: ignore[arg-type] # verdicts of earlier releases name phases without energies
    assert systems(SimpleNamespace(best=[Candidate("a", {"formula": "PbO"})])) == []  # type: ignore[arg-type]


def test_labels_of_phases_along_the_foot_stand_in_turn_below_and_above() -> None:
    foot = [[0, 0.4, 0.6], [0, 1, 0], [1, 0, 0], [0, 1 / 3, 2 / 3], [0.2, 0.2, 0.6]]
    assert label_places(foot) == ["top center", "bottom center", "top center", "bottom center", "top center"]
