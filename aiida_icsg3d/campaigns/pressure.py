"""The pressure that a relaxation left in the crystal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .graph import output

if TYPE_CHECKING:
    from .candidate import Candidate


def residual_pressure(candidate: Candidate) -> float | None:
    """Return the pressure (GPa) at the end of a relaxation, None where none was computed.

    A third of the trace of the last stress tensor of the trajectory, with the sign of Quantum ESPRESSO: positive wants
    to expand.
    """
    from aiida.common.exceptions import NotExistent
    from aiida.orm import load_node

    relax = candidate.relax or {}
    if isinstance(relax.get("pressure_GPa"), (int, float)):
        return float(relax["pressure_GPa"])
    try:
        node: Any = load_node(relax.get("workchain_uuid"))
    except (NotExistent, ValueError):
        return None
    trajectory = output(node, "output_trajectory")
    if trajectory is None or "stress" not in trajectory.get_arraynames():
        return None
    stress = trajectory.get_array("stress")  # (steps, 3, 3) GPa
    return float(stress[-1].trace() / 3) if len(stress) else None
