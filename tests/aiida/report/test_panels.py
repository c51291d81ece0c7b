"""Which candidates are drawn, and what stands under them."""

from __future__ import annotations

import pytest
from pymatgen.core import Lattice, Structure

from aiida_icsg3d.campaigns.candidate import Candidate
from aiida_icsg3d.report.page import phase_html, sentence_html
from aiida_icsg3d.report.panels import match_cell, prediction_line, relaxed_note
from aiida_icsg3d.report.rows import potential_line
from icsg3d_models.properties.meaning import meaning_of

PEROVSKITE = Structure(
    Lattice.cubic(3.9), ["Pb", "Ti", "O", "O", "O"], [[0.5] * 3, [0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]
)


def test_relaxed_crystal_is_drawn_in_the_setting_of_the_generated_one() -> None:
    moved = Structure(Lattice.cubic(3.8), PEROVSKITE.species[::-1], (PEROVSKITE.frac_coords[::-1] + 0.25) % 1)
    matched = match_cell(PEROVSKITE, moved)
    assert [s.symbol for s in matched.species] == [s.symbol for s in PEROVSKITE.species]
    assert matched.lattice.a == pytest.approx(3.8)
    other = Structure(Lattice.cubic(3.0), ["Fe"], [[0, 0, 0]])
    assert match_cell(PEROVSKITE, other) == other


def test_what_is_not_known_is_said_in_words() -> None:
    target = "formation_energy_per_atom"
    heat = meaning_of(target, {"data": {"citation": "Castelli 2012, 10.1039/C1EE02717D"}})
    assert prediction_line(heat, {f"predicted_{target}": None}) == "no prediction"
    assert prediction_line(heat, {f"predicted_{target}": -1.25}) == "predicted heat = −1.25 eV/atom"
    relax = {"workchain_uuid": "x", "a": 3.9, "energy_per_atom_eV": -10.0, "volume_change_percent": -17.0}
    assert "another structure now" in relaxed_note(Candidate("s1", {"formula": "C"}, None, relax))
    moved = relaxed_note(Candidate("s1", {"formula": "C"}, None, {**relax, "rmsd_angstrom": 0.02}))
    assert "volume −17.0 %, atoms moved 0.020 Å" in moved
    assert "eV/atom" not in moved  # a total energy says nothing
    judged = relaxed_note(Candidate("s1", {"formula": "C"}, None, {**relax, "dft_e_above_hull": 0.031}))
    assert "above hull, DFT: +0.03 eV/atom" in judged


@pytest.mark.parametrize(
    ("text", "html"),
    [
        (
            "PbTiO3, 0.00 above (LDA, without PbTi3O7)",
            "PbTiO<sub>3</sub>, 0.00 above (LDA, without PbTi<sub>3</sub>O<sub>7</sub>)",
        ),
        ("Ca3(PO4)2 by PBE, s000017 <b>", "Ca<sub>3</sub>(PO<sub>4</sub>)<sub>2</sub> by PBE, s000017 &lt;b&gt;"),
    ],
)
def test_numbers_of_formulas_in_a_sentence_are_lowered(text: str, html: str) -> None:
    assert sentence_html(text) == html


def test_a_phase_is_written_as_chemists_do() -> None:
    assert phase_html("TiPbO3") == "PbTiO<sub>3</sub>"


@pytest.mark.parametrize(
    ("prerelax", "words"),
    [
        (None, ""),
        ({"potential": "chgnet", "status": "relaxed", "rmsd": 0.1234, "volume_change": -3.21, "reason": None},
         "chgnet: volume −3.2 %, atoms moved 0.12 Å"),
        ({"potential": "chgnet", "status": "relaxed", "rmsd": None, "volume_change": 9.0,
          "reason": "it left its prototype; symmetry gained: space group 1 to 8"},
         "chgnet: volume +9.0 %; it left its prototype; symmetry gained: space group 1 to 8"),
        ({"potential": "chgnet", "status": "blown_up", "reason": "two atoms are 0.13 Å apart"},
         "chgnet: two atoms are 0.13 Å apart"),
    ],
)  # fmt: skip
def test_what_the_potential_made_of_it_is_said(prerelax: dict[str, object] | None, words: str) -> None:
    assert potential_line(Candidate("s1", {"formula": "C"}, None, prerelax=prerelax)) == words
