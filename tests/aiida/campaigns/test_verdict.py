"""The verdict in words."""

from __future__ import annotations

from typing import Any

import pytest

from aiida_icsg3d.campaigns.candidate import Candidate
from aiida_icsg3d.campaigns.verdict import in_words

RELAXED = {"status": "relaxed", "exit_status": 0, "energy_eV": -10.0}


def words(relax: dict[str, Any] | None = None, **row: Any) -> str:
    """Return the verdict on PbTiO3."""
    return in_words(Candidate("s000001", {"formula": "TiPbO3", **row}, None, relax))


def test_dft_comes_before_the_estimate() -> None:
    hull = {"functional": "LDA", "phases": 9}
    relax = {**RELAXED, "dft_e_above_hull": 0.0, "dft_hull": hull}
    found = words(relax, estimated_e_above_hull=0.05, known_formula=True)
    assert found == "PbTiO3, 0.00 eV/atom above the hull (LDA, 9 phases), known"
    lower = words({**relax, "dft_e_above_hull": -0.031})
    assert lower.startswith("PbTiO3, 0.03 eV/atom below all phases of the hull (LDA, 9 phases)")


def test_an_estimate_is_called_one_and_what_the_hull_lacks_is_said() -> None:
    hull = {"source": "Materials Project", "phases": 1, "missing": ["PbO2"]}
    found = words(estimated_e_above_hull=0.123, estimated_hull=hull, novel=True)
    assert found == (
        "PbTiO3, 0.12 eV/atom above the hull (estimate, Materials Project, 1 phase, without PbO2), "
        "not in the training data"
    )


@pytest.mark.parametrize(
    ("relax", "row", "end"),
    [
        (RELAXED, {"novel": False}, "relaxed by DFT, in the training data; no energy above a hull"),
        (None, {}, "not relaxed, not compared with the training data; no energy above a hull"),
        ({"status": "failed"}, {"novel": True}, "relaxation failed, not in the training data"),
        ({**RELAXED, "dft_formation_energy": -2.5}, {"known_formula": True}, "formation energy -2.50 eV/atom, known"),
    ],
)
def test_without_a_hull_nothing_is_claimed(relax: dict[str, Any] | None, row: dict[str, Any], end: str) -> None:
    assert words(relax, **row) == f"PbTiO3, {end}"


def test_an_imaginary_mode_is_said_where_stability_is() -> None:
    relax = {**RELAXED, "dft_e_above_hull": 0.0, "dft_hull": {"functional": "LDA", "phases": 9}}
    unstable = words({**relax, "dynamically_stable": False}, known_formula=True)
    assert unstable == "PbTiO3, 0.00 eV/atom above the hull (LDA, 9 phases), not dynamically stable (DFT), known"
    assert "dynamically" not in words({**relax, "dynamically_stable": True})
    prerelax = {"potential": "chgnet", "dynamically_stable": False}
    row = {"formula": "TiPbO3", "estimated_e_above_hull": 0.1, "known_formula": True}
    by_potential = in_words(Candidate("a", row, None, prerelax=prerelax))
    assert by_potential == "PbTiO3, 0.10 eV/atom above the hull (estimate), not dynamically stable (chgnet), known"
    both = in_words(Candidate("a", row, None, {**relax, "dynamically_stable": True}, prerelax=prerelax))
    assert "dynamically" not in both  # DFT has the last word


def test_a_phase_whose_structure_is_a_guess_is_named() -> None:
    """Beside what the hull lacks, not as more of it."""
    hull = {"functional": "LDA", "phases": 9, "guessed": ["MgSiO3"], "missing": ["PbTi3O7"]}
    relax = {**RELAXED, "dft_e_above_hull": 0.0, "dft_hull": hull}
    assert "(LDA, 9 phases, without PbTi3O7; MgSiO3 guessed from prototypes)" in words(relax)


def test_why_there_is_no_verdict_is_said() -> None:
    found = in_words(Candidate("a", {"formula": "TiPbO3", "novel": True}, None, RELAXED, {"reason": "no energy of Pb"}))
    assert found == "PbTiO3, relaxed by DFT, not in the training data; no energy above a hull: no energy of Pb"


def test_a_formula_in_no_list_is_not_called_new() -> None:
    assert words(RELAXED, known_formula=False, novel=True).startswith(
        "PbTiO3, relaxed by DFT, formula in no list of known compounds, not in the training data"
    )
    assert "new" not in words(RELAXED, known_formula=False, novel=True)
