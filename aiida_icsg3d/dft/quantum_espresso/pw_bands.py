"""Bands of a relaxed crystal along the path of SeeK-path, by PwBandsWorkChain, with the settings of its relaxation."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.common import AttributeDict
from aiida.common.links import LinkType
from aiida.engine import ProcessBuilder
from aiida_quantumespresso.workflows.pw.bands import PwBandsWorkChain
from aiida_quantumespresso.workflows.pw.base import PwBaseWorkChain
from aiida_quantumespresso.workflows.pw.relax import PwRelaxWorkChain

DISTANCE = 0.05
"""Å⁻¹ between points of the path."""
MORE_BANDS = 1.5
"""Times the occupied bands are computed."""


def relaxation_of(structure: orm.StructureData) -> Any:
    """Return the node of the PwRelaxWorkChain that a crystal came out of, None where none did."""
    for link in structure.base.links.get_incoming(node_class=orm.WorkChainNode, link_type=LinkType.RETURN).all():
        if link.node.process_label == PwRelaxWorkChain.__name__:
            found: Any = link.node
            return found
    return None


def denser_kpoints(structure: orm.StructureData) -> float | None:
    """Return the distance (Å⁻¹) between k-points of the SCF that followed the relaxation, None where none did."""
    for link in structure.base.links.get_outgoing(node_class=orm.WorkChainNode, link_type=LinkType.INPUT_WORK).all():
        if link.node.process_label == PwBaseWorkChain.__name__ and "kpoints_distance" in link.node.inputs:
            return float(link.node.inputs.kpoints_distance.value)
    return None


def bands_builder(structure: orm.StructureData) -> ProcessBuilder:
    """Return the builder of the bands of a crystal that pw.x relaxed.

    Code, parameters, pseudopotentials, moments and options are those of the relaxation; k-points of the SCF those of
    the energy, where one followed.

    :raises ValueError: no PwRelaxWorkChain relaxed it.
    """
    relaxation = needed_relaxation(structure)
    builder: Any = PwBandsWorkChain.get_builder()
    builder.structure = structure
    builder.scf, builder.bands = scf_of(relaxation, structure), base_of(relaxation, "bands")
    builder.bands_kpoints_distance = orm.Float(DISTANCE)
    builder.nbands_factor = orm.Float(MORE_BANDS)
    made: ProcessBuilder = builder
    return made


def needed_relaxation(structure: orm.StructureData) -> Any:
    """Return the node of the PwRelaxWorkChain that a crystal came out of.

    :raises ValueError: none did.
    """
    relaxation = relaxation_of(structure)
    if relaxation is None:
        raise ValueError(f"the crystal {structure.pk} was not relaxed by pw.x; this takes the settings of a relaxation")
    return relaxation


def base_of(relaxation: Any, calculation: str) -> AttributeDict:
    """Return the inputs of a PwBaseWorkChain with code, parameters, pseudopotentials and options of a relaxation."""
    done: Any = relaxation.inputs.base_relax
    parameters = done.pw.parameters.get_dict()
    for name in ("CELL", "IONS"):
        parameters.pop(name, None)
    control = {k: v for k, v in parameters.get("CONTROL", {}).items() if k not in ("forc_conv_thr", "etot_conv_thr")}
    content = {**parameters, "CONTROL": {**control, "calculation": calculation}}
    pw = {"code": done.pw.code, "parameters": orm.Dict(content), "pseudos": dict(done.pw.pseudos),
          "metadata": {"options": options_of(relaxation)}}  # fmt: skip
    return AttributeDict({"pw": pw})


def scf_of(relaxation: Any, structure: orm.StructureData) -> AttributeDict:
    """Return the inputs of the SCF, with the k-points of the energy where one followed."""
    done: Any = relaxation.inputs.base_relax
    scf = base_of(relaxation, "scf")
    distance = denser_kpoints(structure)
    if distance is None and "kpoints" in done:
        scf.kpoints = done.kpoints
    else:
        scf.kpoints_distance = orm.Float(distance or done.kpoints_distance.value)
    return scf


def options_of(relaxation: orm.WorkChainNode) -> dict[str, Any]:
    """Return AiiDA's options of the jobs of a relaxation: resources, wall time, queue, account."""
    job = next(job for job in relaxation.called_descendants if isinstance(job, orm.CalcJobNode))
    wanted = ("resources", "max_wallclock_seconds", "withmpi", "queue_name", "account", "qos", "max_memory_kb",
              "custom_scheduler_commands", "prepend_text", "append_text", "environment_variables")  # fmt: skip
    return {name: value for name in wanted if (value := job.get_option(name)) not in (None, "", {})}
