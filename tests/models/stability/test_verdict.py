"""Verdicts on a hull that can be drawn by hand: A at 0, B at 0, AB at -1 eV/atom."""

from __future__ import annotations

import pytest

from icsg3d_models.stability.verdict import Energy, competing_formulas, estimated_lowering, judge, stable_within

ELEMENTS = [Energy("Mg", -10.0), Energy("O2", -5.0)]
OXIDE = Energy("MgO", -8.5)  # formation energy -1 eV/atom


def test_above_the_hull() -> None:
    """MgO2 on the line from MgO (-1) to O2 (0) is at -2/3 eV/atom there; it lies 0.1 above."""
    mean = (-10.0 + 2 * -5.0) / 3
    (verdict,) = judge({"x": Energy("MgO2", mean - 2 / 3 + 0.1)}, [*ELEMENTS, OXIDE], "LDA").values()
    assert verdict.formation_energy_per_atom == pytest.approx(-2 / 3 + 0.1)
    assert verdict.e_above_hull == pytest.approx(0.1)
    assert verdict.stable is False
    assert verdict.decomposition == pytest.approx({"MgO": 2 / 3, "O2": 1 / 3})
    assert verdict.words().startswith("MgO2, 0.100 eV/atom above the hull (LDA, 3 phases")


def test_below_everything_and_on_the_hull() -> None:
    new = judge({"x": Energy("MgO", -8.7)}, [*ELEMENTS, OXIDE], "LDA")["x"]
    assert new.e_above_hull == pytest.approx(-0.2)
    assert new.stable
    assert "0.200 eV/atom below all known phases" in new.words()
    same = judge({"x": Energy("MgO", -8.5)}, [*ELEMENTS, OXIDE], "LDA")["x"]
    assert same.e_above_hull == pytest.approx(0.0)
    assert same.stable


def test_the_lowest_polymorph_and_other_candidates_make_the_hull() -> None:
    phases = [*ELEMENTS, Energy("MgO", -8.0), Energy("Mg2O2", -8.5)]
    assert judge({"x": Energy("MgO", -8.4)}, phases, "LDA")["x"].e_above_hull == pytest.approx(0.1)
    both = judge({"x": Energy("MgO", -8.4), "y": Energy("MgO", -8.6)}, phases, "LDA")
    assert both["x"].e_above_hull == pytest.approx(0.2)
    assert both["y"].e_above_hull == pytest.approx(-0.1)


def test_an_element_without_energy_gives_no_verdict() -> None:
    verdict = judge({"x": Energy("MgO", -8.5)}, ELEMENTS[:1], "LDA")["x"]
    assert verdict.e_above_hull is None
    assert verdict.stable is None
    assert "no energy of O" in verdict.words()


def test_phases_of_other_elements_do_not_matter() -> None:
    phases = [*ELEMENTS, OXIDE, Energy("Pb", -3.0), Energy("PbO", -99.0)]
    verdict = judge({"x": Energy("MgO", -8.5)}, phases, "LDA")["x"]
    assert verdict.phases == ["Mg", "MgO", "O"]


def test_what_the_hull_lacks_is_named() -> None:
    """The table of the package has PbO and TiO2 beside PbTiO3; a hull without them says so."""
    phases = [Energy("Pb", 0.0), Energy("Ti", 0.0), Energy("O2", 0.0), Energy("PbO", -1.0)]
    verdict = judge({"x": Energy("PbTiO3", -2.0)}, phases, "LDA")["x"]
    assert verdict.lacks
    assert "PbO" not in verdict.lacks
    assert "which lacks" in verdict.words()


def test_competing_phases_are_those_of_the_estimate() -> None:
    found = competing_formulas(["MgTiO3"])
    assert "MgTiO3" in found
    assert all(len(formula) > 2 for formula in found)  # compounds, no elements


def test_another_structure_of_a_known_compound_does_not_stand_for_it() -> None:
    """MgTiO3 is known as ilmenite: where no other crystal of it is there, the hull lacks it."""
    phases = [Energy("Mg", 0.0), Energy("Ti", 0.0), Energy("O2", 0.0), Energy("MgO", -3.0), Energy("TiO2", -3.2)]
    assert "MgTiO3" in judge({"x": Energy("MgTiO3", -3.0)}, phases, "LDA")["x"].lacks
    assert "MgTiO3" not in judge({"x": Energy("MgTiO3", -3.0)}, [*phases, Energy("MgTiO3", -3.3)], "LDA")["x"].lacks
    made = [*phases, Energy("MgTiO3", -3.0, generated=True)]  # by an earlier round: no ilmenite either
    found = judge({"x": Energy("MgTiO3", -3.0), "y": Energy("MgTiO3", -2.9)}, made, "LDA")["x"]
    assert "MgTiO3" in found.lacks
    assert found.lower_by is not None
    assert found.lower_by > 0


def test_what_a_hull_may_be_too_high_by() -> None:
    """Without MgO the hull of Mg and O is flat: the estimate knows how deep MgO lies."""
    alone = estimated_lowering("MgO", [])
    assert alone == pytest.approx(3.0, abs=0.3)  # eV/atom, the formation energy of MgO
    assert estimated_lowering("MgO", ["MgO"]) < 0.01
    assert 0 < estimated_lowering("MgTiO3", ["MgO", "TiO2"]) < 0.3  # it lacks the ilmenite
    assert estimated_lowering("PoXe", []) is None


@pytest.mark.parametrize(
    ("height", "lower_by", "stable"),
    [(0.0, 0.0, True), (-0.2, 0.1, True), (0.05, 0.0, False), (0.05, None, False), (0.0, 0.2, None), (-0.1, None, None),
     (None, 0.0, None)],
)  # fmt: skip
def test_stable_only_where_the_missing_phases_allow_it(
    height: float | None, lower_by: float | None, stable: bool | None
) -> None:
    assert stable_within(height, lower_by, 0.0) is stable
