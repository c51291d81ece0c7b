"""Forces of a displaced crystal, and the relaxation of one, with the settings that the crystal was relaxed with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from aiida import orm
from aiida.common import AttributeDict
from aiida.common.links import LinkType
from aiida.engine import ProcessBuilder
from aiida_quantumespresso.workflows.pw.base import PwBaseWorkChain

from .pw_bands import denser_kpoints, options_of, relaxation_of
from .pw_failures import explain_failure

TIGHTER = 1e-3
"""Of the SCF threshold of the relaxation: forces err with the square root of what energies err with."""


def check_relaxed(structure: orm.StructureData) -> Any:
    """Return the PwRelaxWorkChain that a crystal came out of.

    :raises ValueError: none did, or it has Hubbard terms, which a displaced crystal would lose.
    """
    relaxation = relaxation_of(structure)
    if relaxation is None:
        raise ValueError(
            f"the crystal {structure.pk} was not relaxed by pw.x; phonons take the settings of a relaxation"
        )
    if getattr(relaxation.inputs.structure, "hubbard", None) is not None:
        raise ValueError(f"the crystal {structure.pk} was relaxed with Hubbard terms; phonons with them are not done")
    return relaxation


def forces_inputs(relaxation: Any, relaxed: orm.StructureData, displaced: orm.StructureData) -> AttributeDict:
    """Return the inputs of the PwBaseWorkChain that computes the forces of a displaced crystal."""
    done = relaxation.inputs.base_relax
    parameters = done.pw.parameters.get_dict()
    for name in ("CELL", "IONS"):
        parameters.pop(name, None)
    control = {k: v for k, v in parameters.get("CONTROL", {}).items() if k not in ("forc_conv_thr", "etot_conv_thr")}
    electrons = parameters.get("ELECTRONS", {})
    threshold = TIGHTER * electrons.get("conv_thr", 1e-6) * len(displaced.sites) / len(relaxed.sites)
    parameters["CONTROL"] = {**control, "calculation": "scf", "tprnfor": True}
    parameters["ELECTRONS"] = {**electrons, "conv_thr": threshold}
    inputs = AttributeDict(
        {
            "pw": {"code": done.pw.code, "structure": displaced, "parameters": orm.Dict(parameters),
                   "pseudos": dict(done.pw.pseudos), "metadata": {"options": options_of(relaxation)}},
        }
    )  # fmt: skip
    distance = denser_kpoints(relaxed)
    inputs.kpoints_distance = orm.Float(distance or done.kpoints_distance.value)
    return inputs


def forces_of(node: orm.ProcessNode) -> orm.TrajectoryData:
    """Return the node that holds the forces of a PwBaseWorkChain.

    :raises ValueError: it failed, or pw.x gave none.
    """
    if not node.is_finished_ok:
        raise ValueError(explain_failure(node))
    found: Any = node.outputs
    if "output_trajectory" not in found or "forces" not in found.output_trajectory.get_arraynames():
        raise ValueError(f"{PwBaseWorkChain.__name__}<{node.pk}> gave no forces")
    trajectory: orm.TrajectoryData = found.output_trajectory
    return trajectory


def last_forces(trajectory: orm.TrajectoryData) -> np.ndarray:
    """Return the forces (N, 3) in eV/Å of the last step."""
    return np.asarray(trajectory.get_array("forces")[-1], dtype=np.float64)


def validation_of(structure: orm.StructureData) -> tuple[Any, str]:
    """Return the ValidateWorkChain that relaxed a crystal, and the identifier that the crystal has there.

    :raises ValueError: none did.
    """
    for node, label in returned_by(structure):
        if node.process_label == "ValidateWorkChain":
            return node, label.removeprefix("relaxed__")
    raise ValueError(f"no ValidateWorkChain relaxed the crystal {structure.pk}; nothing says how to relax it again")


def returned_by(structure: orm.StructureData) -> Iterator[tuple[Any, str]]:
    """Yield the WorkChains that gave a crystal, and its label there."""
    for link in structure.base.links.get_incoming(node_class=orm.WorkChainNode, link_type=LinkType.RETURN).all():
        yield link.node, link.link_label


def again(structure: orm.StructureData, pushed: orm.StructureData) -> ProcessBuilder:
    """Return the builder that relaxes a pushed crystal as the one that it comes from was relaxed.

    :raises ValueError: see :func:`validation_of`.
    """
    validation, identifier = validation_of(structure)
    builder: Any = validation.get_builder_restart()
    builder.structures = {"lower": pushed}
    builder.pop("symmetry_precision", None)  # the mode breaks the symmetry, and must not be symmetrised away
    builder.pop("molecules", None)
    moments = validation.inputs.moments.get_dict() if "moments" in validation.inputs else {}
    builder.pop("moments", None)
    if identifier in moments:
        builder.moments = orm.Dict({"lower": moments[identifier]})
    made: ProcessBuilder = builder
    return made
