"""The runs of a profile, each with how far it is and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from ...runner_mark import is_left
from ..graph import is_stage
from ..unfinished import funnel_so_far
from .causes import Cause, cause_of, pause_reason
from .snapshot import PHONONS, round_number, take_snapshot

if TYPE_CHECKING:
    from aiida.orm import Group, ProcessNode

TRAINED = ("unet", "vae", "prior", "cgcnn")


@dataclass(frozen=True)
class Overview:
    """How far a run is.

    :param node: the run, called by nothing else.
    :param state: in a word: created, running, paused, finished, failed, excepted, killed.
    :param stage: what it does, or did last, and how much of it.
    :param funnel: of a discovery run: stage -> how many crystals were left, as far as it got.
    :param paused: process -> why it is paused.
    :param cause: why it failed.
    :param left: whether it ran in a terminal that is gone.
    """

    node: ProcessNode
    state: str
    stage: str
    funnel: dict[str, int] = field(default_factory=dict)
    paused: tuple[tuple[ProcessNode, str], ...] = ()
    cause: Cause | None = None
    left: bool = False

    @property
    def lasted(self) -> timedelta:
        """From its start to its end, or to now."""
        from aiida.common import timezone

        return (self.node.mtime if self.node.is_terminated else timezone.now()) - self.node.ctime


def runs(group: Group | None = None, limit: int | None = None) -> list[ProcessNode]:
    """Return the WorkChains of this plugin that nothing else called, newest first.

    A list and no iterator: an open cursor on SQLite keeps a run in another process from writing.
    """
    from aiida.orm import Group, QueryBuilder, WorkChainNode

    ours = {"process_type": {"like": "aiida.workflows:icsg3d.%"}}
    query = QueryBuilder()
    if group is not None:
        query.append(Group, filters={"id": group.pk}, tag="group")
        query.append(WorkChainNode, with_group="group", filters=ours, tag="run", project=["id"])
    else:
        query.append(WorkChainNode, filters=ours, tag="run", project=["id"])
    called = QueryBuilder().append(WorkChainNode, tag="caller")
    called.append(WorkChainNode, with_incoming="caller", filters=ours, project=["id"])
    own = sorted(set(query.all(flat=True)) - set(called.all(flat=True)), reverse=True)[:limit]
    chosen = QueryBuilder().append(WorkChainNode, filters={"id": {"in": own}}, tag="run")
    return chosen.order_by({"run": {"id": "desc"}}).all(flat=True) if own else []


def overview(node: ProcessNode) -> Overview:
    """Return how far a run is."""
    below = node.called_descendants
    paused = tuple(
        (process, pause_reason(process)) for process in (node, *below) if process.paused and not process.is_terminated
    )
    rounds = sorted((c for c in node.called if is_stage(c, "discover")), key=lambda c: c.pk or 0)
    part = rounds[-1] if is_stage(node, "campaign") and rounds else node  # of a campaign its last round
    ended = part is not node and part.is_finished_ok and part.pk == max(c.pk or 0 for c in node.called)
    words = take_snapshot(node, planned_of(part)).text
    words = f"round {round_number(node, len(rounds))}: done" if ended else words
    funnel = funnel_so_far(part.called_descendants) if is_stage(part, "discover") else {}
    stage = "done" if node.is_finished_ok else words
    return Overview(node, "paused" if paused else state_of(node), stage, funnel, paused, cause_of(node), is_left(node))


def planned_of(node: ProcessNode) -> dict[str, int]:
    """Return process label -> how many of them a run will have, in the order of the stages."""
    generation = {"SampleCalculation": 1, "SegmentCalculation": 1, "RebuildCalculation": 1}
    screening = {"ScreenCalculation": 1}
    if is_given(node, "chain") or is_given(node, "generate__chain"):
        generation, screening = {"ChainCalculation": 1}, {}
    training = {"TrainCalculation": len(TRAINED)}
    if is_stage(node, "train_all"):
        return {"PrepareCalculation": 1, **training} if "prepare" in node.inputs else training
    if is_stage(node, "train"):
        return {"TrainCalculation": 1}
    if is_stage(node, "generate"):
        return generation
    relaxations = {"PwRelaxWorkChain": count} if (count := relaxations_of(node)) else {}
    if is_stage(node, "validate"):
        return relaxations
    first = training if "train" in node.inputs else {}
    potential = {"RelaxCalculation": 1} if "prerelax__code" in node.inputs or "prerelax" in node.inputs else {}
    phonons = {PHONONS: count} if "n_phonons" in node.inputs and (count := node.inputs.n_phonons.value) else {}
    return {**first, **generation, **screening, **potential, **relaxations, **phonons}


def is_given(node: ProcessNode, namespace: str) -> bool:
    """Tell whether a process was given a code in a namespace of its inputs."""
    return bool(node.base.links.get_incoming(link_label_filter=f"{namespace}__code").all())


def relaxations_of(node: ProcessNode) -> int:
    """Return how many relaxations a run asked for."""
    if "structures" in node.inputs:
        return len(node.inputs.structures)
    return int(node.inputs.n_relaxations.value) if "n_relaxations" in node.inputs else 0


def state_of(node: ProcessNode) -> str:
    """Return the state of a process in a word."""
    if node.is_finished:
        return "finished" if node.is_finished_ok else "failed"
    words = {"created": "created", "excepted": "failed", "killed": "killed"}
    return words.get(node.process_state.value if node.process_state else "created", "running")
