"""The real pw.x: the optical mode of silicon, and where the soft mode of cubic lead titanate leads."""

from __future__ import annotations

from typing import Any

import pytest
from aiida import orm
from aiida.engine import run_get_node
from pymatgen.core import Lattice, Structure

from aiida_icsg3d.dft.pseudos.debian import create_family
from aiida_icsg3d.workflows.stability.minima import MinimaWorkChain
from aiida_icsg3d.workflows.stability.phonons import PhononsWorkChain
from aiida_icsg3d.workflows.validate import ValidateWorkChain
from tests.e2e.test_pw import LATTICE_CONSTANT, perovskite, pw_code

__all__ = ("pw_code",)

COARSE: dict[str, Any] = {"energy_kpoints_distance": 0, "element_kpoints_distance": 0,
          "relax": {"base_relax": {"kpoints_distance": 0.4,
                                   "pw": {"parameters": {"CONTROL": {"calculation": "relax"}}}}}}  # fmt: skip


@pytest.mark.e2e
def test_silicon_is_a_minimum(pw_code: orm.AbstractCode) -> None:
    silicon = Structure.from_spacegroup("Fd-3m", Lattice.cubic(5.40), ["Si"], [[0, 0, 0]]).get_primitive_structure()
    builder = ValidateWorkChain.get_builder_from_protocol(
        pw_code, {"si": orm.StructureData(pymatgen=silicon)}, pseudo_family=create_family().label, overrides=COARSE,
        electronic_type="insulator",
    )  # fmt: skip
    outputs: Any
    outputs, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    outputs, node = run_get_node(PhononsWorkChain.get_builder_of(outputs["relaxed"]["si"]))
    assert node.is_finished_ok, node.exit_message
    modes = outputs["modes"].get_dict()
    assert modes["dynamically_stable"]
    assert modes["n_displacements"] == 1  # by symmetry
    # Γ25', threefold: 15.5 THz by experiment, 15.3 by hand with these files (smeared occupations take 2 % off)
    (at_gamma,) = modes["frequencies_THz"]
    assert at_gamma["frequencies"] == pytest.approx([15.32] * 3, abs=0.15)
    assert "lower" not in outputs


@pytest.mark.e2e
def test_the_soft_mode_of_lead_titanate_leads_to_its_ground_state(pw_code: orm.AbstractCode) -> None:
    """Threefold at Γ: followed along any mix of the three it ends, if it ends, without symmetry."""
    # with the k-points of the relaxation alone (0.6 1/Å) the mode has 9.4i THz
    builder = ValidateWorkChain.get_builder_from_protocol(
        pw_code, {"cubic": perovskite("Pb", LATTICE_CONSTANT)}, pseudo_family=create_family().label
    )
    outputs: Any
    outputs, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    outputs, node = run_get_node(MinimaWorkChain, structures={"cubic": outputs["relaxed"]["cubic"]})
    assert node.is_finished_ok, node.exit_message
    found = outputs["results"].get_dict()["cubic"]
    assert found["dynamically_stable"] is False
    # by LDA 144i 1/cm, 4.3 THz: Ghosez et al., Phys. Rev. B 60, 836 (1999), 10.1103/PhysRevB.60.836
    assert found["lowest_frequency_THz"] == pytest.approx(-4.3, abs=0.6)
    assert found["followed"]["spacegroup_symbol"] == "P4mm"
    assert 5e-3 < found["followed"]["lower_by_eV_per_atom"] < 2e-2
    lower = outputs["lower"]["cubic"]
    assert lower.get_pymatgen().lattice.c / lower.get_pymatgen().lattice.a == pytest.approx(1.06, abs=0.03)
