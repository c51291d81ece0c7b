"""What a person sees while a discovery run goes on: stage, how many done, elapsed and expected time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from aiida import orm

from icsg3d_models.results import PROGRESS_FILE

from .interruption import MESSAGE, Interruption

STAGES: dict[str, tuple[str, str, float]] = {
    # process label -> (word, unit of what is counted, seconds that one of them takes where none has been run yet)
    "TrainCalculation": ("training", "networks", 600.0),
    "SampleCalculation": ("sampling", "jobs", 15.0),
    "SegmentCalculation": ("segmenting", "jobs", 15.0),
    "RebuildCalculation": ("rebuilding", "jobs", 10.0),
    "ScreenCalculation": ("screening", "jobs", 20.0),
    "PwRelaxWorkChain": ("relaxing", "crystals", 150.0),
}
REMEMBERED = 5
"""How many earlier processes of a kind the expected time is taken from."""


@dataclass(frozen=True)
class Snapshot:
    """How far a run has got.

    :param label: process label of the stage that is running, None before the first.
    :param done: how many of its processes have ended.
    :param total: how many there are to be.
    :param counts: process label -> how many have ended, of all stages.
    :param inner: what the running process itself says: how much of how much; None where it says nothing.
    """

    label: str | None
    done: int
    total: int
    counts: dict[str, int]
    inner: tuple[int, int] | None = None

    @property
    def text(self) -> str:
        """The stage in words: ``relaxing (1 of 2 crystals)``."""
        if self.label is None:
            return "starting"
        word, unit, _ = STAGES[self.label]
        text = f"{word} ({self.done} of {self.total} {unit})" if self.total > 1 else word
        return f"{text}, {self.inner[0]} of {self.inner[1]}" if self.inner else text

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
    called = [child for child in node.called_descendants if child.process_label in planned]
    counts = dict.fromkeys(planned, 0)
    current, running = None, None
    for child in sorted(called, key=lambda c: c.pk or 0):
        current = str(child.process_label)
        counts[current] += int(child.is_terminated)
        running = child
    if current is None:
        return Snapshot(None, 0, sum(planned.values()), counts)
    total = max(planned[current], sum(c.process_label == current for c in called))
    return Snapshot(current, counts[current], total, counts, read_progress(running))


def read_progress(node: orm.ProcessNode | None) -> tuple[int, int] | None:
    """Return how much of how much a job on this machine has done, by the last line that it wrote about it."""
    if not isinstance(node, orm.CalcJobNode) or node.is_terminated or node.computer is None:
        return None
    folder = node.get_remote_workdir()
    if folder is None or node.computer.transport_type != "core.local":
        return None  # nothing is fetched from another machine just to be shown
    try:
        line = json.loads((Path(folder) / PROGRESS_FILE).read_text(encoding="utf-8").splitlines()[-1])
        return int(line["done"]), int(line["total"])
    except (OSError, IndexError, KeyError, ValueError):  # not written yet, or half written
        return None


def typical_seconds(label: str) -> float:
    """Return how long a process of a kind took in this profile: the median of the last few, not from the cache."""
    query = orm.QueryBuilder().append(
        orm.ProcessNode,
        filters={"attributes.process_label": label, "attributes.exit_status": 0},
        project=["ctime", "mtime", "extras._aiida_cached_from"],
        tag="process",
    )
    query.order_by({"process": {"id": "desc"}}).limit(REMEMBERED)
    seconds = sorted((changed - made).total_seconds() for made, changed, cached in query.all() if not cached)
    return seconds[len(seconds) // 2] if seconds else STAGES[label][2]


def expected_seconds(planned: dict[str, int], at_once: int = 1) -> dict[str, float]:
    """Return how long each stage is expected to take.

    :param planned: process label -> how many of them.
    :param at_once: how many relaxations run side by side.
    """
    seconds = {}
    for label, count in planned.items():
        rounds = -(-count // at_once) if label == "PwRelaxWorkChain" else count
        seconds[label] = rounds * typical_seconds(label)
    return seconds


def time_left(snapshot: Snapshot, planned: dict[str, int], expected: dict[str, float], in_stage: float) -> float:
    """Return the seconds a run is expected to take from now on.

    :param in_stage: seconds since the present stage began.
    """
    left = 0.0
    for label, count in planned.items():
        if label != snapshot.label:
            left += expected[label] * (1 - min(snapshot.counts[label] / max(count, 1), 1))
        elif snapshot.inner and snapshot.share > 0:  # what this run has shown is better than what is remembered
            left += in_stage / snapshot.share * (1 - snapshot.share)
        else:
            left += max(expected[label] - in_stage, 0.0)
    return left


class Reporter:
    """Show snapshots: one line that is rewritten on a terminal, else one line whenever something changed.

    :param planned: process label -> how many of them the run will have.
    :param expected: process label -> seconds.
    """

    def __init__(
        self, planned: dict[str, int], expected: dict[str, float], stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.planned, self.expected, self.clock = planned, expected, clock
        self.stream = stream or sys.stderr
        self.began = self.stage_began = clock()
        self.last: Snapshot | None = None

    def show(self, snapshot: Snapshot) -> None:
        """Show a snapshot where it says something new."""
        changed = self.last is None or (snapshot.label, snapshot.done) != (self.last.label, self.last.done)
        if self.last is None or snapshot.label != self.last.label:
            self.stage_began = self.clock()
        self.last = snapshot
        terminal = self.stream.isatty()
        if not (terminal or changed):
            return
        now = self.clock()
        left = time_left(snapshot, self.planned, self.expected, now - self.stage_began)
        rest = f"about {duration(left)} left" if left >= 1 else "longer than expected"
        line = f"{duration(now - self.began)}  {snapshot.text}, {rest}"
        print(f"\r\033[K{line}" if terminal else line, end="" if terminal else "\n", file=self.stream, flush=True)

    def finish(self) -> None:
        """Say how long the run took."""
        line = f"{duration(self.clock() - self.began)}  done"
        print(f"\r\033[K{line}" if self.stream.isatty() else line, file=self.stream, flush=True)


def duration(seconds: float) -> str:
    """Return a time as ``2 min 05 s``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def run_with_progress(builder: Any, reporter: Reporter, interval: float = 2.0) -> orm.ProcessNode:
    """Run a process in this interpreter, show how far it is, and return its node.

    The reporter is a task on the event loop that runs the process, so no second thread touches the database.
    """
    from aiida.manage import get_manager

    runner = get_manager().create_runner(communicator=None)  # as engine.run does: no broker is needed
    interruption = Interruption(runner)
    process = runner.instantiate_process(builder)

    async def watch() -> None:
        interruption.install()
        while not process.node.is_terminated:
            reporter.show(take_snapshot(process.node, reporter.planned))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(interruption.requested.wait(), interval)
                print("\ninterrupted: cancelling the jobs ...", file=reporter.stream, flush=True)
                process.kill(MESSAGE)
                return

    task = runner.loop.create_task(watch())
    try:
        runner.run(process)
    finally:
        task.cancel()
        try:
            if interruption.requested.is_set():
                interruption.install()  # another Ctrl-C does not leave jobs behind
                runner.loop.run_until_complete(interruption.kill_all())
                if left := interruption.alive():
                    pks = " ".join(map(str, left))
                    print(f"could not be cancelled: verdi process kill {pks}", file=reporter.stream, flush=True)
        finally:
            interruption.remove()
    reporter.finish()
    return process.node
