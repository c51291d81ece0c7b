"""How far a run is at one moment, read from the graph and from what its job writes of itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from aiida import orm
from aiida.schedulers import JobState

from icsg3d_models.results import PROGRESS_FILE

PHONONS = "PhononsWorkChain"
STAGES: dict[str, tuple[str, str]] = {
    # process label -> (word, unit of what is counted)
    "PrepareCalculation": ("preparing", "datasets"),
    "TrainCalculation": ("training", "networks"),
    "SampleCalculation": ("sampling", "jobs"),
    "SegmentCalculation": ("segmenting", "jobs"),
    "RebuildCalculation": ("rebuilding", "jobs"),
    "ScreenCalculation": ("screening", "jobs"),
    "ChainCalculation": ("generating and screening", "jobs"),
    "RelaxCalculation": ("relaxing with a potential", "jobs"),
    "PwRelaxWorkChain": ("relaxing", "crystals"),
    "VerdictWorkChain": ("judging", "verdicts"),
    PHONONS: ("computing phonons", "crystals"),
}


CAMPAIGN, ROUND, TRAINING = "CampaignWorkChain", "DiscoverWorkChain", "TrainWorkChain"
PARTS = (ROUND, TRAINING)


@dataclass(frozen=True)
class Snapshot:
    """How far a run has got.

    :param label: process label of the stage that is running, None before the first.
    :param done: how many of its processes have ended.
    :param total: how many there are to be.
    :param counts: process label -> how many have ended, of all stages.
    :param inner: what the running process itself says: how much of how much; None where it says nothing.
    :param queued: whether its job waits in the queue of the scheduler.
    :param paused: PK of a paused process and why; a paused process goes on only when it is told to.
    :param round: of a campaign, 0: no campaign; all else is that of this round.
    """

    label: str | None
    done: int
    total: int
    counts: dict[str, int]
    inner: tuple[int, int] | None = None
    queued: bool = False
    paused: tuple[int, str] | None = None
    round: int = 0

    @property
    def text(self) -> str:
        """The stage in words: ``relaxing (1 of 2 crystals)``."""
        begun = f"round {self.round}: " if self.round else ""
        if self.label is None:
            return f"{begun}starting"
        word, unit = STAGES[self.label]
        text = begun + (f"{word} ({self.done} of {self.total} {unit})" if self.total > 1 else word)
        text = f"{text}, {self.inner[0]} of {self.inner[1]}" if self.inner else text
        if self.paused is not None:
            return f"{text}, PAUSED: process {self.paused[0]}, {self.paused[1]}"
        return f"{text}, in the queue" if self.queued else text

    @property
    def share(self) -> float:
        """How much of the present stage is done, from 0 to 1."""
        part = self.inner[0] / self.inner[1] if self.inner and self.inner[1] else 0.0
        return min((self.done + part) / max(self.total, 1), 1.0)


def take_snapshot(node: orm.ProcessNode, planned: dict[str, int]) -> Snapshot:
    """Return how far a run has got.

    :param node: the run.
    :param planned: process label -> how many of them the run will have, in the order of the stages.
    """
    if node.process_label == CAMPAIGN and (children := [c for c in node.called if c.process_label in PARTS]):
        return of_campaign(node, children, planned)
    below = node.called_descendants
    called = [child for child in below if child.process_label in planned]
    counts = dict.fromkeys(planned, 0)
    current, running = None, None
    for child in sorted(called, key=lambda c: c.pk or 0):
        current = str(child.process_label)
        counts[current] += int(child.is_terminated)
        running = child
    if any(child.process_label == PHONONS for child in called):  # which relaxes what it pushes along a mode
        current = PHONONS
    paused = paused_process([node, *below])
    if current is None:
        return Snapshot(None, 0, sum(planned.values()), counts, paused=paused)
    total = max(planned[current], sum(c.process_label == current for c in called))
    return Snapshot(current, counts[current], total, counts, read_progress(running), is_queued(running), paused)


def of_campaign(node: orm.ProcessNode, children: list[orm.ProcessNode], planned: dict[str, int]) -> Snapshot:
    """Return how far the present round of a campaign is; fine-tuning belongs to the round that it learns from.

    :param children: rounds and trainings.
    """
    children = sorted(children, key=lambda child: child.pk or 0)
    rounds = [child for child in children if child.process_label == ROUND]
    number = round_number(node, len(rounds))
    if children[-1].process_label == ROUND:
        return replace(take_snapshot(children[-1], planned), round=number)
    trainings = [
        c for c in children if c.process_label == TRAINING and (not rounds or (c.pk or 0) > (rounds[-1].pk or 0))
    ]
    done = sum(child.is_terminated for child in trainings)
    running = next((c for c in trainings if not c.is_terminated), trainings[-1])
    jobs = [job for job in running.called if isinstance(job, orm.CalcJobNode)]
    paused = paused_process([node, *trainings, *jobs])
    inner = read_progress(jobs[-1]) if jobs else None
    return Snapshot("TrainCalculation", done, len(trainings), {}, inner, paused=paused, round=number)


def round_number(node: orm.ProcessNode, begun: int) -> int:
    """Return the number of the present round of a campaign, which may go on with an earlier one.

    :param begun: how many rounds it has begun itself.
    """
    before = node.inputs.history.get_dict()["rounds"] if "history" in node.inputs else []
    return len(before) + begun


def paused_process(processes: list[orm.ProcessNode]) -> tuple[int, str] | None:
    """Return PK and reason of the first process that is paused and has not ended."""
    for process in processes:
        if process.paused and not process.is_terminated:
            return process.pk or 0, process.process_status or "no reason given"
    return None


def is_queued(node: orm.ProcessNode | None) -> bool:
    """Tell whether a job waits in the queue."""
    return isinstance(node, orm.CalcJobNode) and not node.is_terminated and node.get_scheduler_state() in (
        JobState.QUEUED, JobState.QUEUED_HELD,
    )  # fmt: skip


def read_progress(node: orm.ProcessNode | None) -> tuple[int, int] | None:
    """Return how much of how much a job on this machine has done, by the last line that it wrote about it.

    A training counts in epochs, but says its steps too, which tell more where an epoch is long.
    """
    if not isinstance(node, orm.CalcJobNode) or node.is_terminated or node.computer is None:
        return None
    folder = node.get_remote_workdir()
    if folder is None or node.computer.transport_type != "core.local":
        return None  # nothing is fetched from another machine just to be shown
    try:
        line = json.loads((Path(folder) / PROGRESS_FILE).read_text(encoding="utf-8").splitlines()[-1])
        return int(line.get("step", line["done"])), int(line.get("steps", line["total"]))
    except (OSError, IndexError, KeyError, ValueError):  # not written yet, or half written
        return None
