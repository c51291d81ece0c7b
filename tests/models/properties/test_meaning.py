"""What predictions mean."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.resources import files

from icsg3d_models.properties.meaning import MATERIALS_PROJECT_DOI, PEROV5_HEAT, meaning_of


def test_the_heat_of_perov5_is_no_formation_energy() -> None:
    card = json.loads(files("icsg3d_models.pretrained").joinpath("perov5/cgcnn.json").read_text())
    found = meaning_of("formation_energy_per_atom", card)
    assert found is PEROV5_HEAT
    assert not found.from_elements
    for word in ("heat relative to competing phases in eV/atom", "not the elements", "RPBE", "Castelli"):
        assert word in found.sentence


def test_perovskites_without_energies_beside_energies_of_the_materials_project_change_no_meaning() -> None:
    """A joined data set cites both; only the crystals of the Materials Project have energies in it."""
    citation = f"Jain et al., {MATERIALS_PROJECT_DOI}; Castelli et al., 10.1039/c1ee02717d"
    found = meaning_of("formation_energy_per_atom", {"data": {"name": "joined", "citation": citation}})
    assert found.from_elements
    assert found.stable_at is None
    assert "elements in their ground states" in found.sentence
    assert meaning_of("e_above_hull", {"data": {"citation": citation}}).stable_at == 0.0


def test_the_model_card_says_so() -> None:
    page = files("icsg3d_models.pretrained").joinpath("perov5/README.md").read_text()
    assert PEROV5_HEAT.sentence in page


def test_other_data_are_named_and_nothing_is_made_up() -> None:
    card = {"data": {"name": "mine", "citation": "somebody 2020"}}
    found = meaning_of("formation_energy_per_atom", card)
    assert (found.label, found.unit, found.source) == ("formation energy", "eV/atom", "mine: somebody 2020")
    assert not found.from_elements
    assert "not stated" in found.reference
    gap = meaning_of("band_gap", {})
    assert (gap.label, gap.unit, gap.source) == ("band gap", "", "not stated by the data")


def test_no_torch_is_needed() -> None:
    modules = "icsg3d_models.properties.meaning, icsg3d_models.data.writers"
    code = f"import sys, {modules}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
