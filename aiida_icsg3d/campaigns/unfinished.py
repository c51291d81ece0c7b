"""What a discovery run without a summary, running or stopped midway, can tell of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .graph import is_stage, output

if TYPE_CHECKING:
    from aiida.orm import ProcessNode

REACHED = {"sample": ("sampled",), "rebuild": ("rebuilt",), "screen": ("valid", "unique", "novel", "selected"),
           "validate": ("relaxed", "failed")}  # fmt: skip
"""Stage -> the counts of the funnel that it settles."""


def funnel_so_far(processes: list[ProcessNode]) -> dict[str, int]:
    """Return the funnel up to the last stage that has results."""
    from ..workflows.summary import funnel

    results: dict[str, Any] = {}
    for process in processes:
        stage = next((name for name in REACHED if is_stage(process, name)), None)
        content = output(process, "results") if stage is not None else None
        if content is not None and stage is not None:
            results.setdefault(stage, content.get_dict())
    relaxations = relaxations_so_far(processes)
    if relaxations:
        results["validate"] = relaxations
    counts = funnel(results)
    return {name: counts[name] for stage, names in REACHED.items() if stage in results for name in names}


def relaxations_so_far(processes: list[ProcessNode]) -> dict[str, dict[str, Any]]:
    """Return id -> what became of each relaxation that has ended, in the layout of the validation's results."""
    found: dict[str, dict[str, Any]] = {}
    for process in processes:
        if not is_stage(process, "validate"):
            continue
        results = output(process, "results")
        if results is not None:
            found.update(results.get_dict())
            continue
        for child in process.called:
            label = child.base.links.get_incoming(node_class=type(process)).one().link_label
            if label.startswith("relax_") and child.is_terminated:
                found[label.removeprefix("relax_")] = describe(process, label.removeprefix("relax_"), child)
    return found


def describe(validation: ProcessNode, identifier: str, relaxation: ProcessNode) -> dict[str, Any]:
    """Return the entry of one relaxation that has ended while others of its validation still run."""
    from ..workflows.relaxations import FAILED, RELAXED, describe_relaxation, explain_failure

    entry = {"status": RELAXED, "reason": None, "exit_status": relaxation.exit_status,
             "workchain_uuid": relaxation.uuid}  # fmt: skip
    if not relaxation.is_finished_ok:
        return entry | {"status": FAILED, "reason": explain_failure(relaxation)}
    generated = validation.inputs.structures[identifier]
    energy = output(relaxation, "output_parameters").get_dict()["energy"]
    return entry | describe_relaxation(generated, output(relaxation, "output_structure"), energy)
