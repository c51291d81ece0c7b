"""What a person sees while a run goes on: stage, how many done, elapsed time, and time left as far as it is known."""

from __future__ import annotations

import asyncio
import contextlib
import math
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from aiida import orm

from ..campaigns.running.snapshot import Snapshot, take_snapshot
from .interruption import MESSAGE, ForegroundRunner, Interruption


def time_left(snapshot: Snapshot, planned: dict[str, int], expected: Mapping[str, float | None],
              in_stage: float) -> tuple[float | None, bool]:  # fmt: skip
    """Return the seconds that the present stage is expected to take from now on, or the whole run, and whether it is
    the whole.

    What this run has shown is better than what earlier runs took; where neither says anything, None is returned, not a
    guess.

    :param expected: process label -> seconds that the stage took in earlier runs, None where there are none.
    :param in_stage: seconds since the present stage began.
    """
    if snapshot.label is None:
        left: float | None = 0.0
    elif snapshot.share > 0:
        left = in_stage / snapshot.share * (1 - snapshot.share)
    else:
        known = expected.get(snapshot.label)
        left = None if known is None else known - in_stage
    if snapshot.label is not None and snapshot.label not in planned:  # between the rounds of a campaign
        return left, False
    later = list(planned)[list(planned).index(snapshot.label) + 1 :] if snapshot.label else list(planned)
    rest = [expected.get(label) for label in later]
    if left is None or any(seconds is None for seconds in rest):
        return (left if snapshot.label else None), False
    return max(left, 0.0 if rest else left) + math.fsum(seconds or 0.0 for seconds in rest), True


class Reporter:
    """Show snapshots: one line that is rewritten on a terminal, else one line whenever something changed.

    :param planned: process label -> how many of them the run will have.
    :param expected: process label -> seconds that the stage took in earlier runs, None where there are none.
    """

    def __init__(
        self, planned: dict[str, int], expected: Mapping[str, float | None], stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.planned, self.expected, self.clock = planned, expected, clock
        self.stream = stream or sys.stderr
        self.began = self.stage_began = clock()
        self.last: Snapshot | None = None

    def show(self, snapshot: Snapshot) -> None:
        """Show a snapshot where it says something new."""
        changed = self.last is None or news(snapshot) != news(self.last)
        if self.last is None or (snapshot.round, snapshot.label) != (self.last.round, self.last.label):
            self.stage_began = self.clock()
        self.last = snapshot
        terminal = self.stream.isatty()
        if not (terminal or changed):
            return
        now = self.clock()
        line = f"{duration(now - self.began)}  {snapshot.text}{self.rest(snapshot, now)}"
        print(f"\r\033[K{line}" if terminal else line, end="" if terminal else "\n", file=self.stream, flush=True)

    def rest(self, snapshot: Snapshot, now: float) -> str:
        """Return what can be said of the time left; nothing where neither this run nor an earlier one tells."""
        if snapshot.paused is not None:
            return ""
        left, whole = time_left(snapshot, self.planned, self.expected, now - self.stage_began)
        if left is None:
            return ""
        if left < 1:
            return "" if snapshot.share >= 1 else ", longer than earlier runs"
        return f", about {duration(left)} left" + (
            (" of this round" if snapshot.round else "") if whole else " of this"
        )

    def finish(self) -> None:
        """Say how long the run took."""
        line = f"{duration(self.clock() - self.began)}  done"
        print(f"\r\033[K{line}" if self.stream.isatty() else line, file=self.stream, flush=True)


RARELY = 50
"""Times as long as looking took nothing is looked at: 2 % of a core at most."""


def news(snapshot: Snapshot) -> tuple[Any, ...]:
    """Return what is worth another line where lines cannot be rewritten."""
    return snapshot.round, snapshot.label, snapshot.done if snapshot.total > 1 else 0, snapshot.queued, snapshot.paused


def duration(seconds: float) -> str:
    """Return a time as ``2 min 05 s``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def run_with_progress(
    builder: Any, reporter: Reporter, interval: float = 2.0, began: Callable[[orm.ProcessNode], None] | None = None
) -> orm.ProcessNode:
    """Run a process in this interpreter, show how far it is, and return its node.

    :param began: called with the node before anything runs.

    The reporter is a task on the event loop that runs the process, so no second thread touches the database.
    """
    runner = ForegroundRunner()
    interruption = Interruption(runner)
    process = runner.instantiate_process(builder)
    if began is not None:
        began(process.node)

    async def watch() -> None:
        interruption.install()
        while not process.node.is_terminated:
            looked = time.monotonic()
            reporter.show(take_snapshot(process.node, reporter.planned))
            # a run of many jobs takes long to look at: that is done the less often
            pause = max(interval, RARELY * (time.monotonic() - looked))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(interruption.requested.wait(), pause)
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
