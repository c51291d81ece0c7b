"""Hulls drawn by hand, the table of the package, and energies that must not be mixed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedEntry

from icsg3d_models.stability.hull import Hull, MixedLabelsError
from icsg3d_models.stability.references import (
    References,
    ReferencesError,
    known_formulas,
    read_references,
    shipped_references,
)


def by_hand() -> References:
    """A and B are Na and S: the hull goes 0, -1 (NaS), 0; Na3S at -0.2 lies 0.3 above the line, at -0.5."""
    return References(
        "by hand",
        "test",
        ("NaS", "Na3S"),
        np.array([-1.0, -0.2]),
        np.array([True, True]),
        {"Na": -2.0, "S": -5.0},
        0.02,
    )


def test_heights_lie_on_the_lines_between_phases() -> None:
    hull = Hull(["S", "Na"], by_hand())
    assert hull.height("NaS") == pytest.approx(-1.0)
    assert hull.height("Na3S") == pytest.approx(-0.5)
    assert hull.e_above_hull("Na3S", -0.2) == pytest.approx(0.3)
    assert hull.e_above_hull("NaS3", -0.7) == pytest.approx(-0.2)  # below all that is known
    assert hull.competing_phases("Na3S") == pytest.approx({"Na": 0.5, "NaS": 0.5})
    assert (hull.label, hull.error) == ("by hand", 0.02)


def test_a_known_height_without_a_phase_counts_but_competes_with_nothing() -> None:
    references = References(
        "by hand", "test", ("NaS", "Na2S"), np.array([-1.0, -0.9]), np.array([True, False]), {}, None
    )
    hull = Hull(["Na", "S"], references)
    assert hull.height("Na2S") == pytest.approx(-0.9)
    assert hull.competing_phases("Na2S") == pytest.approx({"NaS": 2 / 3, "Na": 1 / 3})


def test_the_crystals_own_formula_can_be_left_out() -> None:
    assert Hull(["Na", "S"], by_hand(), without=["NaS"]).height("NaS") == pytest.approx(-0.2 * 2 / 3)


def test_a_hull_of_one_element() -> None:
    assert Hull(["Na"], by_hand()).e_above_hull("Na", 0.1) == pytest.approx(0.1)


def test_other_labels_are_refused() -> None:
    with pytest.raises(MixedLabelsError, match="'LDA' against a hull of 'by hand'"):
        Hull(["Na", "S"], by_hand()).e_above_hull("NaS", -1.0, label="LDA")


def test_elements_that_nothing_is_known_of_are_refused() -> None:
    with pytest.raises(ReferencesError, match="nothing is known of Xe"):
        Hull(["Na", "Xe"], by_hand())
    with pytest.raises(ReferencesError, match="knows nothing of S"):
        Hull(["Na"], by_hand()).height("NaS")


def test_formation_energies_of_total_energies() -> None:
    assert by_hand().formation_energy({"Na": 2, "S": 2}, -18.0) == pytest.approx(-1.0)
    with pytest.raises(ReferencesError, match="no reference energy of Xe"):
        by_hand().formation_energy({"Xe": 1}, 0.0)


def test_the_table_of_the_package() -> None:
    references = shipped_references()
    assert references.label == "MP2020"
    assert references.error is not None
    assert 0.005 < references.error < 0.036
    assert len(references.elements) == 89
    hull = Hull(["Pb", "Ti", "O"])
    assert hull.height("PbTiO3") == pytest.approx(-2.7306, abs=0.01)  # Materials Project, mp-20459
    assert hull.competing_phases("PbTiO3") == pytest.approx({"TiPbO3": 1.0})
    assert hull.competing_phases("Pb2TiO4").keys() <= {"TiPbO3", "PbO"}
    assert "NaCl" in known_formulas()
    assert "TiPbO3" in known_formulas()
    assert references.knows("O3PbTi")
    assert references.knows("Cu")
    assert not references.knows("PbTi17O4")


def test_csv_of_total_energies(tmp_path: Path) -> None:
    path = tmp_path / "phases.csv"
    path.write_text("# label: LDA\nformula,energy_per_atom\nLi,-2\nO2,-5\nO,-4.5\nLi2O,-4\n", encoding="utf-8")
    references = read_references(path)
    assert references.label == "LDA"
    assert references.error is None
    assert references.elements == {"Li": -2.0, "O": -5.0}
    assert Hull(["Li", "O"], references).height("Li2O") == pytest.approx(-1.0)


def test_json_of_computed_entries(tmp_path: Path) -> None:
    entries = [ComputedEntry(Composition(f), e) for f, e in (("Li", -2.0), ("O2", -10.0), ("Li2O", -11.0))]
    entries.append(ComputedEntry(Composition("Li2O2"), -14.0, correction=-3.0))
    path = tmp_path / "entries.json"
    path.write_text(json.dumps({"label": "PBE", "entries": [entry.as_dict() for entry in entries]}), encoding="utf-8")
    hull = Hull(["Li", "O"], read_references(path))
    assert hull.height("Li2O") == pytest.approx(-2 / 3)
    assert hull.height("Li2O2") == pytest.approx((-17 + 4 + 10) / 4)


@pytest.mark.parametrize(
    ("name", "content", "label", "words"),
    [
        ("a.csv", "formula,energy_per_atom\nLi,-2\n", None, "does not say what its energies are comparable with"),
        ("a.csv", "# label: PBE\nformula,energy_per_atom\nLi,-2\n", "LDA", "labelled 'PBE', not 'LDA'"),
        ("a.csv", "# label: PBE\nformula,energy\nLi,-2\n", None, "needed are `formula` and one of"),
        ("a.csv", "# label: PBE\nformula,energy_per_atom\nLi2O,-2\n", None, "elements Li, O are not in the file"),
        ("a.csv", "# label: PBE\nformula,energy_per_atom\nLi,x\n", None, "no number"),
        ("a.csv", "# label: PBE\nformula,energy_per_atom\nLi,-900\n", None, "an energy per atom in eV is needed"),
        ("a.csv", "# label: PBE\nformula,formation_energy_per_atom\nLi2O,nan\n", None, "an energy per atom in eV"),
        ("a.csv", "# label: PBE\nformula,formation_energy_per_atom\nLi2Qq,-1\n", None, "Qq"),
        ("a.csv", "# label: PBE\nformula,formation_energy_per_atom\n", None, "the columns none"),
        ("a.json", "[{", "PBE", "not valid JSON"),
        ("a.json", '{"label": "PBE"}', None, "a key `entries`"),
        ("a.json", '[{"@module": "os", "@class": "system"}]', "PBE", "entry 0 is a system"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, name: str, content: str, label: str | None, words: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(ReferencesError, match=words):
        read_references(tmp_path / name, label)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ReferencesError, match="no such file"):
        read_references(tmp_path / "none.csv", "PBE")
