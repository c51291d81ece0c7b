"""Questions about the candidates of several runs, answered from the provenance graph alone (no extras, no bookkeeping).

Which are the best, what failed and why, what was found twice, which hold these elements.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .campaign import Campaign, read_campaign
from .candidate import Candidate
from .graph import in_order
from .lineage import process_stage

if TYPE_CHECKING:
    from aiida.orm import Group, ProcessNode, StructureData
    from pymatgen.core import Composition


class Ranked(NamedTuple):
    """A candidate and the run it comes from."""

    campaign: Campaign
    candidate: Candidate


class Failure(NamedTuple):
    """A candidate or a process that did not end well."""

    id: str
    formula: str
    exit_status: int | None
    reason: str
    uuid: str | None


def discover_workchains(group: Group | None = None) -> list[ProcessNode]:
    """Return all discovery runs, or those of a group, oldest first."""
    from aiida.orm import Group, QueryBuilder, WorkChainNode

    query = QueryBuilder()
    if group is not None:
        query.append(Group, filters={"id": group.pk}, tag="group")
        query.append(WorkChainNode, with_group="group", tag="run", filters=_is_discover())
    else:
        query.append(WorkChainNode, tag="run", filters=_is_discover())
    query.order_by({"run": {"ctime": "asc"}})
    return query.all(flat=True)


def _is_discover() -> dict[str, Any]:
    return {"process_type": {"like": "%icsg3d.discover"}}


def ranking(
    workchains: Iterable[ProcessNode] | Group,
    key: str = "formation_energy_per_atom",
    descending: bool = False,
) -> list[Ranked]:
    """Return the selected candidates of several runs in one order.

    :param key: a predicted property, a column of the table, or a value of the relaxation.
    :raises KeyError: no candidate has that value.
    """
    from aiida.orm import Group

    runs = discover_workchains(workchains) if isinstance(workchains, Group) else list(workchains)
    found = [Ranked(campaign, c) for campaign in map(read_campaign, runs) for c in campaign.selected]
    values = {id(item): item.candidate.value(key) for item in found}
    if found and all(value is None for value in values.values()):
        names = [name for name, value in found[0].candidate.row.items() if isinstance(value, (int, float))]
        raise KeyError(f"no candidate has {key!r}; there are {', '.join(names)}")
    sign = -1 if descending else 1

    def order(item: Ranked) -> tuple[bool, float]:
        value = values[id(item)]
        return (value is None, sign * (value or 0.0))

    return sorted(found, key=order)


def failures(workchain: ProcessNode) -> list[Failure]:
    """Return the relaxations of a run that did not end well, and the jobs that failed, with the reason.

    A job that was cut off, and ended well when it was tried again, is no failure.
    """
    campaign = read_campaign(workchain)
    found = [
        Failure(c.id, c.formula, (c.relax or {}).get("exit_status"), str((c.relax or {}).get("reason") or ""),
                (c.relax or {}).get("workchain_uuid"))
        for c in campaign.candidates
        if c.failed
    ]  # fmt: skip
    jobs = [p for p in in_order(workchain.called_descendants) if process_stage(p) not in (None, "relax")]
    mended = {process_stage(p): p.pk or 0 for p in jobs if p.is_finished_ok}  # by a later try
    for process in jobs:
        if (
            process.is_terminated
            and not process.is_finished_ok
            and (process.pk or 0) > mended.get(process_stage(process), 0)
        ):
            reason = process.exit_message or process.exception or "killed"
            found.append(Failure(str(process_stage(process)), "", process.exit_status, reason, process.uuid))
    return found


def duplicates(structures: Sequence[StructureData], **tolerances: Any) -> list[list[StructureData]]:
    """Return groups of two or more equal crystals, compared only within a reduced formula.

    :param tolerances: ltol, stol, angle_tol of pymatgen's StructureMatcher (default 0.2, 0.3, 5 degrees).
    """
    from pymatgen.analysis.structure_matcher import StructureMatcher

    matcher = StructureMatcher(**tolerances)
    by_formula: dict[str, list[tuple[StructureData, Any]]] = {}
    for node in structures:
        crystal = node.get_pymatgen()
        by_formula.setdefault(crystal.composition.reduced_formula, []).append((node, crystal))
    groups: list[list[StructureData]] = []
    for entries in by_formula.values():
        kinds: list[list[tuple[StructureData, Any]]] = []
        for entry in entries:
            match = next((kind for kind in kinds if matcher.fit(kind[0][1], entry[1])), None)
            if match is None:
                kinds.append([entry])
            else:
                match.append(entry)
        groups += [[node for node, _ in kind] for kind in kinds if len(kind) > 1]
    return groups


def find(
    workchains: Iterable[ProcessNode], formula: str | None = None, elements: Sequence[str] | None = None
) -> list[Ranked]:
    """Return the candidates of some runs with a reduced formula, or with all of some elements.

    :raises ValueError: neither is given, or the formula cannot be read.
    """
    from pymatgen.core import Composition

    if formula is None and not elements:
        raise ValueError("say what to look for: a formula like PbTiO3, or elements like Pb Ti")
    wanted = Composition(formula).reduced_formula if formula else None
    found = []
    for campaign in map(read_campaign, workchains):
        for candidate in campaign.candidates:
            composition = _composition(candidate)
            if composition is None or (wanted and composition.reduced_formula != wanted):
                continue
            if {e.symbol for e in composition.elements} >= set(elements or ()):
                found.append(Ranked(campaign, candidate))
    return found


def _composition(candidate: Candidate) -> Composition | None:
    """Return the composition of a candidate, None where its table row has no formula."""
    from pymatgen.core import Composition

    return None if candidate.formula == "?" else Composition(candidate.formula)
