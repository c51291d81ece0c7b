"""Phonons by DFT: the supercells, the modes that forces give, what is refused, and where an imaginary mode leads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida_quantumespresso.workflows.pw.base import PwBaseWorkChain
from aiida_quantumespresso.workflows.pw.relax import PwRelaxWorkChain
from ase.build import bulk
from ase.calculators.emt import EMT

from aiida_icsg3d.dft.fingerprint import SettingsDifferError
from aiida_icsg3d.workflows.stability.displacing import compare_with_lower, displace, find_modes
from aiida_icsg3d.workflows.stability.phonons import PhononsWorkChain, complete
from tests.aiida.dft.crystals import nickel_oxide, with_u
from tests.aiida.process_nodes import finished
from tests.aiida.workflows.stability.test_extending import energy, perovskite
from tests.models.relaxation.test_phonons import by_hand

pytestmark = pytest.mark.usefixtures("aiida_profile")


def trajectory(forces: np.ndarray) -> orm.TrajectoryData:
    """Return the trajectory of one step with forces (N, 3) in eV/Å."""
    node = orm.TrajectoryData()
    node.set_trajectory(["Cu"] * len(forces), np.zeros((1, len(forces), 3)))
    node.set_array("forces", forces[None])
    return node


def forces_by_emt(structures: dict[str, orm.StructureData]) -> dict[str, orm.TrajectoryData]:
    """Return the forces of ASE's effective medium theory."""
    found = {}
    for name, structure in structures.items():
        atoms = structure.get_ase()
        atoms.calc = EMT()
        found[name] = trajectory(atoms.get_forces())
    return found


def copper(a: float) -> orm.StructureData:
    """Return the cubic cell of copper."""
    return orm.StructureData(ase=bulk("Cu", "fcc", a=a, cubic=True))


def modes_of(structure: orm.StructureData, **settings: Any) -> dict[str, Any]:
    """Return the outputs of the two calcfunctions, with forces of EMT in between."""
    wanted = orm.Dict(complete({"displacement": 0.005, **settings}))
    made: Any = displace(structure, wanted)
    found: Any = find_modes(structure, wanted, **forces_by_emt(dict(made["displaced"])))
    return {"displaced": made["displaced"], **found}


def test_modes_are_those_of_the_hessian() -> None:
    found = modes_of(copper(3.59))
    assert len(found["displaced"]) == 1
    content = found["modes"].get_dict()
    without = by_hand(copper(3.59).get_ase())
    optical = np.sort(without[np.argsort(np.abs(without))[3:]])
    (at_gamma,) = content["frequencies_THz"]
    assert at_gamma["frequencies"] == pytest.approx(optical.tolist(), rel=0.01)
    assert content["dynamically_stable"]
    assert "pushed" not in found


def test_an_imaginary_mode_pushes_the_crystal() -> None:
    found = modes_of(copper(4.4))  # far too large a cell: atoms fall towards their neighbours
    content = found["modes"].get_dict()
    assert content["lowest_frequency_THz"] < -0.3
    assert not content["dynamically_stable"]
    pushed = found["pushed"].get_ase()
    moved = pushed.positions - copper(4.4).get_ase().positions
    assert np.linalg.norm(moved, axis=1).max() == pytest.approx(0.15)


def test_supercells_keep_the_kinds() -> None:
    antiferromagnet = nickel_oxide()
    settings = orm.Dict(complete({"supercell": [2, 1, 1]}))
    made: Any = displace(antiferromagnet, settings)
    for structure in made["displaced"].values():
        assert sorted(site.kind_name for site in structure.sites) == ["Ni1"] * 2 + ["Ni2"] * 2 + ["O"] * 4
        inverse = np.linalg.inv(np.array(antiferromagnet.cell))
        for site in structure.sites:  # each within the displacement of a site of its kind
            apart = []
            for other in antiferromagnet.sites:
                if other.kind_name == site.kind_name:
                    frac = (np.array(site.position) - np.array(other.position)) @ inverse
                    apart.append(np.linalg.norm((frac - frac.round()) @ np.array(antiferromagnet.cell)))
            assert min(apart) < 0.031


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"supercel": [1, 1, 1]}, "supercel: no such setting; accepted are supercell, displacement, threshold, follow"),
        ({"supercell": [0, 1, 1]}, "greater than or equal to 1"),
        ({"displacement": -0.1}, "greater than 0"),
    ],
)
def test_settings_that_are_not_accepted(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        complete(settings)


def relaxed_by_pw(structure: orm.StructureData) -> orm.StructureData:
    """Return a crystal that came out of a PwRelaxWorkChain."""
    relaxation = orm.WorkChainNode(process_type=PwRelaxWorkChain.build_process_type())
    relaxation.set_process_label("PwRelaxWorkChain")
    relaxation.base.links.add_incoming(structure.store(), link_type=LinkType.INPUT_WORK, link_label="structure")
    relaxation.store()
    result: orm.StructureData = structure.clone()
    creator = orm.CalcFunctionNode().store()
    result.base.links.add_incoming(creator, link_type=LinkType.CREATE, link_label="output_structure")
    result.store()
    result.base.links.add_incoming(relaxation, link_type=LinkType.RETURN, link_label="output_structure")
    return result


def test_what_pw_did_not_relax_is_refused(workchain: Any) -> None:
    with pytest.raises(ValueError, match=r"was not relaxed by pw\.x"):
        PhononsWorkChain.get_builder_of(copper(3.6))
    process = workchain(PhononsWorkChain, {"structure": copper(3.6).store()})
    exit_code = process.setup()
    assert exit_code.status == 204
    with pytest.raises(ValueError, match="Hubbard terms"):
        PhononsWorkChain.get_builder_of(relaxed_by_pw(with_u(nickel_oxide(), "Ni1", "Ni2")))


def test_displacements_run_some_at_a_time_and_one_that_fails_ends_it(workchain: Any, monkeypatch: Any) -> None:
    structure = relaxed_by_pw(nickel_oxide())
    process = workchain(PhononsWorkChain, {"structure": structure, "max_concurrent": orm.Int(1)})
    assert process.setup() is None
    assert len(process.ctx.displaced) == 2
    monkeypatch.setattr("aiida_icsg3d.workflows.stability.phonons.forces_inputs", lambda *_: process.inputs)
    begun: list[str] = []

    def begin(key: str, *_: Any, **__: Any) -> None:
        begun.append(key)
        process.running[key] = 1

    monkeypatch.setattr(process, "begin", begin)
    monkeypatch.setattr(process, "still_running", lambda: None)
    process.launch()
    assert begun == ["d_000"]
    process.ctx.d_000 = finished(PwBaseWorkChain, {}, 401, "the sub process failed twice")
    exit_code = process.inspect()
    assert exit_code.status == 457
    assert "the sub process failed twice" in exit_code.message


def test_how_much_lower_and_only_with_the_same_settings() -> None:
    before, after = energy(perovskite("Pb", "Ti")), energy(perovskite("Pb", "Ti", 4.0))
    lower = orm.Dict({**after.get_dict(), "energy_per_atom_eV": before.get_dict()["energy_per_atom_eV"] - 0.01})
    results = orm.Dict({"lower": {"spacegroup_symbol": "P4mm", "spacegroup_number": 99, "a": 3.9}})
    content: Any = compare_with_lower(before, lower, results).get_dict()
    assert content["lower_by_eV_per_atom"] == pytest.approx(0.01)
    assert content["is_lower"]
    assert content["spacegroup_symbol"] == "P4mm"
    other = energy(perovskite("Pb", "Ti", 4.0), functional="PBE")
    with pytest.raises(SettingsDifferError):
        compare_with_lower(before, other, results)
