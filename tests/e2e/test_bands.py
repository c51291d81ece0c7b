"""The real pw.x: bands of silicon with the settings of its relaxation."""

from __future__ import annotations

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from pymatgen.core import Lattice, Structure

from aiida_icsg3d.campaigns.properties.bands import bands_of
from aiida_icsg3d.dft.pseudos.debian import create_family
from aiida_icsg3d.dft.quantum_espresso.pw_bands import bands_builder
from aiida_icsg3d.workflows.validate import ValidateWorkChain
from tests.e2e.test_pw import pw_code

__all__ = ("pw_code",)


def relaxed_silicon(pw_code: orm.AbstractCode) -> orm.StructureData:
    """Return silicon, its sites relaxed at its lattice constant."""
    silicon = Structure.from_spacegroup("Fd-3m", Lattice.cubic(5.40), ["Si"], [[0, 0, 0]]).get_primitive_structure()
    given = orm.StructureData(pymatgen=silicon)
    overrides = {"energy_kpoints_distance": 0, "element_kpoints_distance": 0,
                 "relax": {"base_relax": {"kpoints_distance": 0.4,
                                          "pw": {"parameters": {"CONTROL": {"calculation": "relax"}}}}}}  # fmt: skip
    builder = ValidateWorkChain.get_builder_from_protocol(
        pw_code, {"si": given}, pseudo_family=create_family().label, overrides=overrides
    )
    outputs, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    relaxed: orm.StructureData = outputs["relaxed"]["si"]
    return relaxed


@pytest.mark.e2e
def test_bands_of_silicon(pw_code: orm.AbstractCode) -> None:
    relaxed = relaxed_silicon(pw_code)
    assert bands_of(relaxed) is None
    with pytest.raises(ValueError, match=r"was not relaxed by pw\.x"):
        bands_builder(orm.StructureData(pymatgen=relaxed.get_pymatgen()))

    _, node = run_get_node(bands_builder(relaxed))
    assert node.is_finished_ok, node.exit_message
    done, used = node.inputs.scf.pw.parameters.get_dict(), relaxed.creator.inputs.parameters.get_dict()
    assert done["SYSTEM"] == used["SYSTEM"]
    bands = bands_of(relaxed)
    assert bands is not None
    # LDA: indirect, 0.5 eV (experiment 1.17); the top of the valence bands is threefold, at Γ
    assert bands.gap == pytest.approx(0.5, abs=0.15)
    assert bands.ticks[0.0] == "Γ"
    assert np.abs(bands.energies[0, 0, 1:4]).max() < 0.01
    assert bands.energies[0, 0, 4] == pytest.approx(2.55, abs=0.15)  # Γ25' to Γ15 in LDA
