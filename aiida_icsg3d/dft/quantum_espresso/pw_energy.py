"""The energy of a relaxed crystal on denser k-points than its relaxation had, and what is special to an element.

A lattice constant forgives few k-points, an energy does not: with 0.6 Å⁻¹ between them cubic PbTiO3 is right to
0.01 Å and wrong by 36 meV/atom, aluminium wrong by 50. So a relaxation may be followed by one SCF. Elements need more:
metals have a Fermi surface, and every formation energy inherits their error. One rule makes all energies of a
campaign, and stands in their settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida import orm
from aiida.common import AttributeDict
from aiida_quantumespresso.workflows.pw.base import PwBaseWorkChain

GAMMA = [1, 1, 1]


def define(spec: Any) -> None:
    """Declare the distances between k-points, and which crystals are molecules in a box."""
    spec.input(
        "energy_kpoints_distance", valid_type=orm.Float, required=False, serializer=orm.to_aiida_type,
        help="Å⁻¹ between k-points of an SCF that follows each relaxation; its energy is the one that counts. Left "
        "out: the energy of the relaxation.",
    )  # fmt: skip
    spec.input(
        "element_kpoints_distance", valid_type=orm.Float, required=False, serializer=orm.to_aiida_type,
        help="The same for crystals of one element, in their relaxation too. Left out: as for all others.",
    )  # fmt: skip
    spec.input(
        "molecules", valid_type=orm.List, required=False, serializer=orm.to_aiida_type,
        help="Identifiers of structures that are a molecule in a box: at Γ, the box stays as it is.",
    )  # fmt: skip


def rule_of(inputs: Mapping[str, Any]) -> dict[str, float | str] | None:
    """Return the rule by which k-points of energies are chosen, None where the relaxation's energy counts."""
    if "energy_kpoints_distance" not in inputs:
        return None
    compounds = inputs["energy_kpoints_distance"].value
    elements = inputs["element_kpoints_distance"].value if "element_kpoints_distance" in inputs else compounds
    return {"compounds": compounds, "elements": elements, "molecules": "gamma"}


def set_kpoints(base: AttributeDict, structure: orm.StructureData, molecule: bool, inputs: Mapping[str, Any]) -> None:
    """Set the k-points of a relaxation: those of the protocol, unless it is a molecule or an element."""
    if molecule:
        base.pop("kpoints_distance", None)
        base.kpoints = mesh(GAMMA)
    elif "element_kpoints_distance" in inputs and len(structure.get_symbols_set()) == 1:
        base.pop("kpoints", None)
        base.kpoints_distance = inputs["element_kpoints_distance"]


def mesh(numbers: list[int]) -> orm.KpointsData:
    """Return a mesh of k-points around Γ."""
    points = orm.KpointsData()
    points.set_kpoints_mesh(numbers)
    return points


def energy_inputs(
    relaxation: orm.ProcessNode, structure: orm.StructureData, molecule: bool, given: AttributeDict,
    inputs: Mapping[str, Any],
) -> tuple[type[PwBaseWorkChain], AttributeDict]:  # fmt: skip
    """Return the process of the SCF that follows a relaxation, and its inputs.

    :param relaxation: the PwRelaxWorkChain; its parameters and pseudopotentials are taken again.
    :param structure: relaxed.
    :param given: ``relax.base_relax`` of the run, for code and options.
    """
    done = relaxation.inputs.base_relax
    parameters = done.pw.parameters.get_dict()
    parameters["CONTROL"] = {**parameters.get("CONTROL", {}), "calculation": "scf"}
    for name in ("CELL", "IONS"):
        parameters.pop(name, None)
    base = AttributeDict(given)
    base.pw = AttributeDict(base.pw)
    base.pw.structure = structure
    base.pw.parameters = orm.Dict(parameters)
    base.pw.pseudos = dict(done.pw.pseudos)
    for name in ("kpoints", "kpoints_distance"):
        base.pop(name, None)
    rule = rule_of(inputs)
    assert rule is not None
    if molecule:
        base.kpoints = mesh(GAMMA)
    else:
        kind = "elements" if len(structure.get_symbols_set()) == 1 else "compounds"
        base.kpoints_distance = orm.Float(rule[kind])
    return PwBaseWorkChain, base
