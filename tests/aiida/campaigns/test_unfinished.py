"""Relaxations of a validation that is still running: the last try, the lower start, no success that is none."""

from __future__ import annotations

from typing import Any

import pytest
from aiida import orm
from aiida.common.links import LinkType

from aiida_icsg3d.campaigns.unfinished import relaxations_so_far
from tests.aiida.dft.crystals import nickel_oxide, rock_salt

pytestmark = pytest.mark.usefixtures("aiida_profile")


def process(name: str, caller: Any = None, label: str = "", status: int | None = None) -> orm.WorkChainNode:
    """Return a stored WorkChain, ended where it has a status."""
    node = orm.WorkChainNode(process_type=f"aiida.workflows:{name}")
    node.set_process_label(name)
    if status is not None:
        node.set_process_state("finished")
        node.set_exit_status(status)
    if caller is not None:
        node.base.links.add_incoming(caller, link_type=LinkType.CALL_WORK, link_label=label)
    return node


def validation(**structures: orm.StructureData) -> orm.WorkChainNode:
    """Return a running validation of some crystals."""
    node = process("icsg3d.validate")
    for name, structure in structures.items():
        link = f"structures__{name}"
        node.base.links.add_incoming(structure.store(), link_type=LinkType.INPUT_WORK, link_label=link)
    return node.store()


def relaxed(caller: Any, label: str, structure: orm.StructureData, energy: float, **said: Any) -> None:
    """Add a relaxation that ended well."""
    node = process("quantumespresso.pw.relax", caller, f"relax_{label}", 0)
    node.base.links.add_incoming(structure.store(), link_type=LinkType.INPUT_WORK, link_label="structure")
    node.store()
    outputs = {"output_structure": structure.clone(), "output_parameters": orm.Dict({"energy": energy, **said})}
    for name, output in outputs.items():
        output.store().base.links.add_incoming(node, link_type=LinkType.RETURN, link_label=name)


def test_a_collapsed_cell_is_no_success() -> None:
    """PwRelaxWorkChain ended with 0, its last iteration with 501."""
    whole = validation(a=rock_salt("Mg"))
    node = process("quantumespresso.pw.relax", whole, "relax_a", 0).store()
    process("quantumespresso.pw.base", node, "iteration_01", 501).store()
    entry = relaxations_so_far([whole])["a"]
    assert entry["status"] == "failed"
    assert "raise ecutwfc and ecutrho" in entry["reason"]


def test_what_phonons_lead_to_is_no_candidate() -> None:
    """Nor are references: both are relaxed by validations of their own, below other processes."""
    run = process("icsg3d.discover").store()
    own = process("icsg3d.validate", run, "validate")
    own.base.links.add_incoming(rock_salt("Mg").store(), link_type=LinkType.INPUT_WORK, link_label="structures__a")
    relaxed(own.store(), "a", rock_salt("Mg"), -10.0)
    phonons = process("icsg3d.phonons", run, "phonons").store()
    other = process("icsg3d.validate", phonons, "relax_lower")
    other.base.links.add_incoming(
        rock_salt("Mg").store(), link_type=LinkType.INPUT_WORK, link_label="structures__lower"
    )
    relaxed(other.store(), "lower", rock_salt("Mg"), -11.0)
    assert set(relaxations_so_far([own, other])) == {"a"}


def test_the_last_try_counts() -> None:
    whole = validation(a=rock_salt("Mg"))
    process("quantumespresso.pw.relax", whole, "relax_a", 401).store()
    relaxed(whole, "a", rock_salt("Mg"), -30.0)
    process("quantumespresso.pw.relax", whole, "relax_b").store()
    found = relaxations_so_far([whole])
    assert set(found) == {"a"}
    assert (found["a"]["status"], found["a"]["energy_eV"], found["a"]["spacegroup_number"]) == ("relaxed", -30.0, 225)


def test_the_lower_of_two_starts() -> None:
    whole = validation(a_1=nickel_oxide())
    said = {"number_of_spin_components": 2, "absolute_magnetization": 6.0}
    relaxed(whole, "a_1_ferromagnetic", nickel_oxide(), -10.0, total_magnetization=6.0, **said)
    relaxed(whole, "a_1_antiferromagnetic", nickel_oxide(), -11.0, total_magnetization=0.0, **said)
    entry = relaxations_so_far([whole])["a_1"]
    assert (entry["start"], entry["magnetic_order"], entry["energy_eV"]) == (
        "antiferromagnetic",
        "antiferromagnetic",
        -11,
    )
