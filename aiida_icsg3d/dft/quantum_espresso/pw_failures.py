"""Why a relaxation by pw.x failed, what to do about it, and whether the same again may well succeed."""

from __future__ import annotations

from aiida import orm

HINTS = {
    "ERROR_IONIC_CONVERGENCE_REACHED_EXCEPT_IN_FINAL_SCF": "the stress or the forces of the final SCF, with "
    "the plane waves of the relaxed cell, exceed the thresholds: raise ecutwfc and ecutrho, or allow more "
    "iterations with relax.max_meta_convergence_iterations",
    "ERROR_ELECTRONIC_CONVERGENCE_NOT_REACHED": "lower ELECTRONS.mixing_beta or raise SYSTEM.degauss",
    "ERROR_IONIC_CYCLE_ELECTRONIC_CONVERGENCE_NOT_REACHED": "lower ELECTRONS.mixing_beta or raise SYSTEM.degauss",
    "ERROR_IONIC_CYCLE_EXCEEDED_NSTEP": "raise CONTROL.nstep, or look whether the crystal falls apart",
    "ERROR_OUT_OF_WALLTIME": "raise metadata.options.max_wallclock_seconds",
    "ERROR_SCHEDULER_OUT_OF_WALLTIME": "raise metadata.options.max_wallclock_seconds",
    "ERROR_SCHEDULER_OUT_OF_MEMORY": "ask for more memory or fewer processes in metadata.options",
    "ERROR_MAX_ITERATIONS_EXCEEDED": "raise relax.max_meta_convergence_iterations, or the cut-offs",
}
"""Label of an exit code -> what to do about it."""

CUT_OFF = (
    "ERROR_SCHEDULER_NODE_FAILURE",
    "ERROR_NO_RETRIEVED_FOLDER",
    "ERROR_OUTPUT_STDOUT_MISSING",
    "ERROR_OUTPUT_STDOUT_INCOMPLETE",
    "ERROR_OUTPUT_XML_MISSING",
    "ERROR_OUTPUT_FILES",
    "ERROR_IONIC_INTERRUPTED_PARTIAL_TRAJECTORY",
)
"""Labels of jobs that did not come to their end: cancelled, killed, preempted, lost with their node."""
CRASH = "CRASH"
"""File that pw.x writes where it stops by itself; the same again would stop again."""
NO_PROGRAM = ("command not found", "No such file or directory", "cannot execute", "Permission denied")


def innermost_failure(node: orm.ProcessNode) -> orm.ProcessNode:
    """Return the process in which a failure began: the last failed child of the last failed child ..."""
    failed = [child for child in node.called if child.is_failed or child.is_excepted or child.is_killed]
    return innermost_failure(max(failed, key=lambda child: child.pk or 0)) if failed else node


def label_of_status(node: orm.ProcessNode) -> str:
    """Return the label of an exit status, '' where its process does not declare it."""
    codes = {code.status: label for label, code in node.process_class.exit_codes.items()}
    return codes.get(node.exit_status, "")


def explain_failure(node: orm.ProcessNode) -> str:
    """Return why a process failed, from its innermost failed process, and what to do about it."""
    inner = innermost_failure(node)
    name = f"{inner.process_label}<{inner.pk}>"
    if inner.is_excepted or inner.is_killed:
        word = "raised an exception" if inner.is_excepted else "was killed"
        return f"{name} {word}; see `verdi process report {inner.pk}`"
    status, label = inner.exit_status, label_of_status(inner)
    message = (inner.exit_message or label or "no message").rstrip(".")
    advice = HINTS.get(label, f"see `verdi process report {node.pk}`")
    return f"{name} ended with {status}: {message}; {advice}"


def cut_off(node: orm.ProcessNode) -> bool:
    """Whether a failed relaxation was cut off from outside, by its innermost failed process.

    Not where the relaxation itself was killed: somebody wanted that. Not where pw.x stopped by itself, or was not
    found: it would do so again.
    """
    if node.is_killed or node.is_excepted or node.is_finished_ok:
        return False
    inner = innermost_failure(node)
    if inner.is_killed:
        return True
    if not isinstance(inner, orm.CalcJobNode) or label_of_status(inner) not in CUT_OFF:
        return False
    retrieved = inner.outputs.retrieved if "retrieved" in inner.outputs else None
    if retrieved is not None and CRASH in retrieved.base.repository.list_object_names():
        return False
    said = inner.get_scheduler_stderr() or ""
    return not any(words in said for words in NO_PROGRAM)


def final_scf_exceeded(relaxation: orm.ProcessNode) -> bool:
    """Whether the last iteration of a PwRelaxWorkChain ended above its thresholds in the final SCF (501).

    Without meta-convergence, after its last iteration, or within 10 % of the threshold, PwRelaxWorkChain itself still
    ends with 0 then: a cell that collapsed below its cut-off looks like a success.
    """
    from aiida_quantumespresso.workflows.pw.base import PwBaseWorkChain

    code = PwBaseWorkChain.exit_codes.ERROR_IONIC_CONVERGENCE_REACHED_EXCEPT_IN_FINAL_SCF.status
    last = last_iteration(relaxation)
    return last is not None and last.exit_status == code


def last_iteration(relaxation: orm.ProcessNode) -> orm.ProcessNode | None:
    """Return the last PwBaseWorkChain of a PwRelaxWorkChain."""
    from aiida_quantumespresso.workflows.pw.base import PwBaseWorkChain

    iterations = [child for child in relaxation.called if child.process_class is PwBaseWorkChain]
    return max(iterations, key=lambda child: child.pk or 0, default=None)


def still_moving(relaxation: orm.ProcessNode) -> orm.StructureData | None:
    """Return the last crystal of a relaxation that ended before its cell did, None where it ended in another way.

    Its iterations, each with the plane waves of its own first cell, were not enough for a start that was far off; from
    here they may be.
    """
    from aiida_quantumespresso.workflows.pw.relax import PwRelaxWorkChain

    if relaxation.process_class is not PwRelaxWorkChain:
        return None
    exceeded = relaxation.exit_status == PwRelaxWorkChain.exit_codes.ERROR_MAX_ITERATIONS_EXCEEDED.status
    last = last_iteration(relaxation)
    if last is None or not (exceeded or final_scf_exceeded(relaxation)) or "output_structure" not in last.outputs:
        return None
    structure: orm.StructureData = last.outputs.output_structure
    return structure
