"""Where a crystal comes from: data set, training, models, sampling, rebuilding, screening, relaxation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from aiida.orm import Node, ProcessNode, StructureData

STAGES = ("prepare", "dataset", "train", "model", "base", "chain", "sample", "fields", "segment", "segments", "rebuild",
          "crystals", "crystal", "screen", "symmetrise", "symmetrised", "relax", "relaxed")  # fmt: skip
FILES = {
    "sample": "fields",
    "segment": "segments",
    "rebuild": "crystals",
    "chain": "crystals",
}  # stage -> what its folder holds


class Step(NamedTuple):
    """One node of a lineage and the part it plays."""

    stage: str
    node: Node


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
        made = {"rebuild": "crystal", "chain": "crystal", "symmetrise": "symmetrised", "relax": "relaxed"}
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
    rebuilds = [pk for pk, stage in stages.items() if stage in ("rebuild", "chain")]
    if rebuilds:
        screens = collect(rebuilds, CalcJobNode, {"process_type": {"like": "%icsg3d.screen"}}, with_ancestors="start")
        screens = [node for node in screens if node.is_finished_ok] or screens  # not those that were tried again
        nodes.update({pk_of(node): node for node in screens})
        before = collect([pk_of(node) for node in screens], with_descendants="start") if screens else []
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
