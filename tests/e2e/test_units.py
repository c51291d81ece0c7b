"""Energies are per atom wherever a column says so: two crystals of one composition, by pw.x, the model and the data.

In PbAsO3 lead has the site of twelve neighbours, in AsPbO3 arsenic. Their heats of formation in Perov-5 (Castelli et
al., 10.1039/c2ee22341d) differ by 0.66, which some that pass the data on call eV a cell. The energies of pw.x tell.
"""

from __future__ import annotations

from typing import Any

import pytest
from aiida import orm
from aiida.engine import run_get_node
from pymatgen.core import Lattice, Structure

from aiida_icsg3d.data import TrainedModelData
from aiida_icsg3d.dft.pseudos.debian import create_family
from aiida_icsg3d.workflows.validate import ValidateWorkChain
from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.properties.meaning import meaning_of
from icsg3d_models.properties.predict import predict
from tests.e2e.test_pw import pw_code

__all__ = ["pw_code"]

IN_THE_DATA = 0.66
"""Heat of AsPbO3 less that of PbAsO3 in Perov-5, whose crystals have moved off the cubic sites."""
FORMULAS = ("PbAsO3", "AsPbO3")


def cubic(a_site: str, b_site: str, a: float) -> Structure:
    """Return the cubic perovskite ABO3."""
    sites = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    return Structure(Lattice.cubic(a), [a_site, b_site, "O", "O", "O"], sites)


@pytest.mark.e2e
def test_one_composition_two_crystals(pw_code: orm.AbstractCode) -> None:
    given = dict(zip(FORMULAS, (cubic("Pb", "As", 4.04), cubic("As", "Pb", 4.15)), strict=True))
    nodes = {name: orm.StructureData(pymatgen=structure) for name, structure in given.items()}
    builder = ValidateWorkChain.get_builder_from_protocol(pw_code, nodes, pseudo_family=create_family().label)
    outputs: Any
    outputs, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    energies = {name: outputs["energies"][name].get_dict() for name in FORMULAS}
    assert {entry["formula"] for entry in energies.values()} == {"AsPbO3"}  # one composition
    assert len({entry["settings_hash"] for entry in energies.values()}) == 1
    a_cell, an_atom = (energies["AsPbO3"][key] - energies["PbAsO3"][key] for key in ("energy_eV", "energy_per_atom_eV"))
    assert a_cell == pytest.approx(5 * an_atom)
    assert 3.3 < a_cell < 5.5

    relaxed = [outputs["relaxed"][name].get_pymatgen_structure() for name in FORMULAS]
    model = TrainedModelData.from_pretrained("perov5", "cgcnn", store=False)
    assert meaning_of("formation_energy_per_atom", model.card).unit == "eV/atom"
    with model.as_path() as path:
        values = predict(Crystals.from_structures(relaxed, list(FORMULAS)), path).values["formation_energy_per_atom"]
    predicted = float(values[1] - values[0])
    for of_the_data in (predicted, IN_THE_DATA):
        assert abs(of_the_data - an_atom) < 0.4, "the column is per atom"
        assert abs(of_the_data - a_cell) > 2, "and not per cell"
