"""Ctrl-C on a run in this interpreter: jobs on the computers are cancelled, and every process says it was killed.

AiiDA's own handler kills the outermost process in the middle of whatever runs, a database transaction for one, and
without a broker does not reach the processes below, so that ``pw.x`` goes on. Here the signal is obeyed between two
steps of the event loop, and every process that this interpreter made is killed.
"""

from __future__ import annotations

import asyncio
import inspect
import signal
from typing import Any

from aiida.engine import Process
from aiida.engine.runners import Runner
from aiida.manage import get_manager

SIGNALS = (signal.SIGINT, signal.SIGTERM)
MESSAGE = "interrupted by the user"
PATIENCE = 15.0  # seconds from the last cancelling until every process has to have ended


class ForegroundRunner(Runner):
    """A runner without a broker, as ``engine.run`` makes one, that remembers the processes it makes.

    :ivar processes: in the order in which they were made.
    """

    def __init__(self) -> None:
        manager = get_manager()
        profile = manager.get_profile()
        interval = 0.0 if profile and profile.is_test_profile else manager.get_option("runner.poll.interval")
        super().__init__(poll_interval=interval, persister=manager.get_persister())
        self.processes: list[Process] = []

    def instantiate_process(self, process: Any, **inputs: Any) -> Process:
        """Return a new process, or the one given."""
        made = super().instantiate_process(process, **inputs)
        if made not in self.processes:
            self.processes.append(made)
        return made


class Interruption:
    """Kills the processes that a runner made when a signal comes.

    :ivar requested: set when a signal has come.
    """

    def __init__(self, runner: ForegroundRunner) -> None:
        self.loop = runner.loop
        self.requested = asyncio.Event()
        self.processes = runner.processes

    def install(self) -> None:
        """Take the signals over; AiiDA sets its own handlers when a run starts, so this comes after that."""
        for number in SIGNALS:
            self.loop.add_signal_handler(number, self.requested.set)

    def remove(self) -> None:
        """Give the signals back to what handles them by default."""
        for number in SIGNALS:
            self.loop.remove_signal_handler(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    async def kill_all(self) -> None:
        """Kill what has not ended, the outermost first, so that nothing is started in the place of what was killed.

        A job on a computer that does not answer takes as long as AiiDA goes on trying; see :meth:`alive` for what is
        left then.
        """
        for process in self.processes:
            if process.has_terminated():
                continue
            outcome = process.kill(MESSAGE)
            if inspect.isawaitable(outcome):
                await outcome
        for _ in range(round(PATIENCE / 0.1)):
            if not self.alive():
                break
            await asyncio.sleep(0.1)

    def alive(self) -> list[Any]:
        """Return the PKs of the processes that have not ended."""
        return [process.pid for process in self.processes if not process.has_terminated()]
