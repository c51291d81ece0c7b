"""Questions about candidates, answered from the provenance graph alone (no extras, no bookkeeping).

Where does this crystal come from, which are the best of several runs, what failed and why, what was found
twice, which candidates hold these elements.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .campaign import Campaign, Candidate, read_campaign

if TYPE_CHECKING:
    from aiida.orm import Group, Node, ProcessNode, StructureData
    from pymatgen.core import Composition

STAGES = ("prepare", "dataset", "train", "model", "base", "sample", "fields", "segment", "segments", "rebuild",
          "crystals", "crystal", "screen", "symmetrise", "symmetrised", "relax", "relaxed")  # fmt: skip
FILES = {"sample": "fields", "segment": "segments", "rebuild": "crystals"}  # stage -> what its folder holds


class Step(NamedTuple):
    """One node of a lineage and the part it plays."""

    stage: str
    node: Node


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


def process_stage(node: ProcessNode) -> str | None:
    """Return the stage of a calculation: the last word of its entry point; every pw.x job is `relax`."""
    if node.process_label == "symmetrise_structure":
        return "symmetrise"
    entry_point = (node.process_type or "").rsplit(":", 1)[-1]
    if entry_point.startswith("quantumespresso.pw"):
        return "relax"
    stage = entry_point.removeprefix("icsg3d.")
    return stage if entry_point.startswith("icsg3d.") and stage in STAGES else None


def stage_of(node: Node) -> str | None:
    """Return the part that a node plays in a lineage, None where it plays none (codes, settings, pseudos)."""
    from aiida.orm import FolderData, ProcessNode, RemoteData, StructureData

    if isinstance(node, ProcessNode):
        return process_stage(node)
    if node.node_type.startswith("data.icsg3d."):
        return node.node_type.split(".")[2]
    creator = getattr(node, "creator", None)
    origin = process_stage(creator) if creator is not None else None
    if isinstance(node, StructureData):
        made = {"rebuild": "crystal", "symmetrise": "symmetrised", "relax": "relaxed"}
        return "base" if origin is None else made.get(origin)
    if isinstance(node, (RemoteData, FolderData)) or node.node_type.startswith("data.core.singlefile"):
        return FILES.get(origin or "")
    return None


def lineage(structure: StructureData, files: bool = False) -> list[Step]:
    """Return the history of a crystal: dataset, train, model, sample, segment, rebuild, crystal, screen, relax.

    :param structure: a generated crystal, or what DFT made of it.
    :param files: also the folders of fields, segments and crystals that link the jobs.
    """
    from aiida.orm import CalcJobNode, Node, ProcessNode, QueryBuilder, StructureData

    nodes: dict[int, Node] = {pk_of(structure): structure}

    def collect(start: Iterable[int], kind: Any = Node, filters: Any = None, **relation: str) -> list[Any]:
        query = QueryBuilder().append(Node, filters={"id": {"in": list(start)}}, tag="start")
        keywords: dict[str, Any] = {**relation}
        return query.append(kind, filters=filters, **keywords).distinct().all(flat=True)

    nodes.update({pk_of(node): node for node in collect(nodes, with_descendants="start")})
    stages = {pk: stage_of(node) for pk, node in nodes.items()}
    crystals = [pk for pk, stage in stages.items() if stage == "crystal"] or [pk_of(structure)]
    after = collect(crystals, with_ancestors="start")
    nodes.update({pk_of(n): n for n in after if isinstance(n, (ProcessNode, StructureData))})
    rebuilds = [pk for pk, stage in stages.items() if stage == "rebuild"]
    if rebuilds:
        screens = collect(rebuilds, CalcJobNode, {"process_type": {"like": "%icsg3d.screen"}}, with_ancestors="start")
        nodes.update({pk_of(node): node for node in screens})
        before = collect([pk_of(node) for node in screens], with_descendants="start")
        nodes.update({pk_of(node): node for node in before})
    steps = []
    for node in nodes.values():
        stage = stage_of(node)
        other_crystal = stage == "crystal" and node.pk not in crystals
        if stage is not None and not other_crystal and (files or stage not in FILES.values()):
            steps.append(Step(stage, node))
    return sorted(steps, key=lambda step: (STAGES.index(step.stage), pk_of(step.node)))


def pk_of(node: Node) -> int:
    """Return the PK of a stored node.

    :raises ValueError: it is not stored, so nothing is linked to it yet.
    """
    if node.pk is None:
        raise ValueError(f"{node} is not stored; store it first")
    return node.pk


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
    """Return the relaxations of a run that did not end well, and the jobs that failed, with the reason."""
    campaign = read_campaign(workchain)
    found = [
        Failure(c.id, c.formula, (c.relax or {}).get("exit_status"), str((c.relax or {}).get("reason") or ""),
                (c.relax or {}).get("workchain_uuid"))
        for c in campaign.candidates
        if c.failed
    ]  # fmt: skip
    for process in workchain.called_descendants:
        if process_stage(process) not in (None, "relax") and not process.is_finished_ok and process.is_terminated:
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
