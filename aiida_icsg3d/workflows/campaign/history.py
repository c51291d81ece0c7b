"""The history of a campaign, as a node made of the one before and the summary of the next round."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import calcfunction

from ...values import storable
from .figures import counts_of, entries_of, errors_of


@calcfunction
def record_round(summary: orm.Dict, facts: orm.Dict, **nodes: Any) -> orm.Dict:
    """Return the history with one round more.

    :param summary: of the round's DiscoverWorkChain.
    :param facts: ``round``, its number; ``stable_within`` (eV/atom); ``core_hours`` of its DFT; ``discover``, UUID of
        the DiscoverWorkChain; ``models``: place -> UUID of what it generated and predicted with; ``message`` where it
        did not end well; ``compared_with``: predicted property -> figure of the DFT that it predicts.
    :param nodes: ``history``, of the rounds before; namespaces ``found``, crystals that earlier rounds relaxed, and
        ``relaxed``, those of this one by their ids.
    :return: ``rounds``: for each ``candidates``, ``counts``, ``errors``, ``core_hours`` and the facts.
    """
    content, known = facts.get_dict(), nodes["history"].get_dict()["rounds"] if "history" in nodes else []
    entries = entries_of(summary.get_dict(), content["round"], content["stable_within"])
    again = found_before(nodes.get("relaxed", {}), nodes.get("found", {}))
    for entry in entries:
        entry["found_before"] = again.get(entry["id"])
    record = {
        **content,
        "counts": counts_of(entries, summary.get_dict()["funnel"]),
        "errors": errors_of(entries, content.get("compared_with", {})),
        "candidates": entries,
    }
    return orm.Dict(storable({"rounds": [*known, record]}))


def found_before(relaxed: dict[str, orm.StructureData], found: dict[str, orm.StructureData]) -> dict[str, str]:
    """Return id -> name of the crystal that was found before, in this round or an earlier one, and is the same.

    pymatgen's StructureMatcher (ltol 0.2, stol 0.3, angle_tol 5), within a reduced formula.
    """
    from pymatgen.analysis.structure_matcher import StructureMatcher

    matcher = StructureMatcher()
    seen: dict[str, list[tuple[str, Any]]] = {}
    for name, node in found.items():
        crystal = node.get_pymatgen()
        seen.setdefault(crystal.composition.reduced_formula, []).append((name, crystal))
    again = {}
    for name, node in relaxed.items():
        crystal = node.get_pymatgen()
        others = seen.setdefault(crystal.composition.reduced_formula, [])
        same = next((other for other, known in others if matcher.fit(known, crystal)), None)
        if same is None:
            others.append((name, crystal))
        else:
            again[name] = same
    return again


def core_hours(process: orm.ProcessNode) -> float:
    """Return the core-hours of the DFT jobs below a process: wall time by pw.x's own account, times its processes.

    What came from the cache cost nothing.
    """
    total = 0.0
    for node in process.called_descendants:
        if not isinstance(node, orm.CalcJobNode) or not (node.process_type or "").endswith(":quantumespresso.pw"):
            continue
        if node.base.caching.is_created_from_cache:
            continue
        seconds = wall_seconds(node)
        resources = node.get_option("resources") or {}
        machines = resources.get("num_machines", 1)
        processes = resources.get("tot_num_mpiprocs") or machines * resources.get("num_mpiprocs_per_machine", 1)
        total += seconds * processes / 3600
    return total


def wall_seconds(node: orm.CalcJobNode) -> float:
    """Return the wall time of a job: as its program says it, else from its creation to its last change."""
    if "output_parameters" in node.outputs:
        seconds = node.outputs.output_parameters.get_dict().get("wall_time_seconds")
        if seconds is not None:
            return float(seconds)
    return max((node.mtime - node.ctime).total_seconds(), 0.0)
