"""What a discovery run without a summary, running or stopped midway, can tell of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from icsg3d_models.screening.ranking import STAGES

from .graph import in_order, is_stage, output, results_of

if TYPE_CHECKING:
    from aiida.orm import ProcessNode

REACHED = {"sample": ("sampled",), "rebuild": ("rebuilt",), "screen": STAGES[1:],
           "validate": ("relaxed", "failed")}  # fmt: skip
"""Stage -> the counts of the funnel that it settles."""


def funnel_so_far(processes: list[ProcessNode]) -> dict[str, int]:
    """Return the funnel up to the last stage that has results."""
    from ..workflows.summary import funnel

    results: dict[str, Any] = {}
    for process in in_order(processes):
        for stage in REACHED:
            content = results_of(process, stage) if is_stage(process, stage) else None
            if content is not None:
                results[stage] = content.get_dict()  # of the last try
    relaxations = relaxations_so_far(processes)
    if relaxations:
        results["validate"] = relaxations
    counts = funnel(results)
    reached = [name for stage, names in REACHED.items() if stage in results for name in names]
    return {name: counts[name] for name in reached if name in counts}


def relaxations_so_far(processes: list[ProcessNode]) -> dict[str, dict[str, Any]]:
    """Return id -> what became of each relaxation that has ended, in the layout of the validation's results.

    Those of candidates: references and what phonons lead to are relaxed below other processes.
    """
    found: dict[str, dict[str, Any]] = {}
    for process in processes:
        if not is_stage(process, "validate") or not (process.caller is None or is_stage(process.caller, "discover")):
            continue
        results = output(process, "results")
        if results is not None:
            found.update(results.get_dict())
            continue
        found.update(ended_relaxations(process))
    return found


def ended_relaxations(validation: ProcessNode) -> dict[str, dict[str, Any]]:
    """Return id -> entry of each crystal with a relaxation that has ended, while its validation still runs.

    Of several starts the lowest that has ended counts, and of several tries the last.
    """
    from ..dft.engine import crystal_and_start
    from ..dft.engines import engine_class
    from ..workflows.relaxations import RELAXED, describe_relaxation, outcome_of_starts

    inputs: dict[str, Any] = {link.link_label: link.node for link in validation.base.links.get_incoming().all()}
    engine = engine_class(inputs["engine"].value if "engine" in inputs else "quantum_espresso")
    structures = {label.removeprefix("structures__"): node for label, node in inputs.items()}
    tried: dict[str, dict[str, Any]] = {}
    for child in sorted(validation.called, key=lambda process: process.pk or 0):
        label = child.base.links.get_incoming(node_class=type(validation)).one().link_label
        if not label.startswith("relax_") or not child.is_terminated:
            continue
        identifier, start = crystal_and_start(label.removeprefix("relax_"), structures)
        if identifier in structures:
            tried.setdefault(identifier, {})[start] = (child, engine.read(child, identifier))
    found = {}
    for identifier, starts in tried.items():
        entry = outcome_of_starts(starts, engine)
        if entry["status"] == RELAXED:
            relaxed = starts[entry["start"]][1].structure
            entry |= describe_relaxation(structures[identifier], relaxed, entry["energy_eV"])
        found[identifier] = entry
    return found
