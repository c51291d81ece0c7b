"""Map a function over items on several processes, with progress."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.pool import Pool
from types import TracebackType
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]


def worker_count(threads: int | None) -> int:
    """Return how many processes to use: ``threads`` where given, else the cores this process may run on."""
    if threads is not None:
        return threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers:
    """Processes that are started when they are first needed, and kept until the end of a ``with`` block.

    They are spawned, not forked: a fork of a process in which torch has started threads can hang.

    :param count: how many; with one all is done in this process.
    """

    def __init__(self, count: int = 1) -> None:
        self.count = count
        self._pool: Pool | None = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.terminate()
            self._pool.join()
            self._pool = None

    def map(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        progress: Progress | None = None,
        chunk: int = 8,
        least: int | None = None,
    ) -> list[Result]:
        """Return ``[function(item) for item in items]``, in order.

        :param function: importable (a spawned process finds it by name).
        :param progress: called as ``progress(done, total)`` after every finished chunk.
        :param chunk: items handed over at once.
        :param least: fewer items are done in this process, since another takes seconds to start; default four chunks.
        """
        results: list[Result] = []
        alone = self.count == 1 or len(items) <= (4 * chunk if least is None else least)
        for done, result in enumerate(map(function, items) if alone else self._spread(function, items, chunk), start=1):
            results.append(result)
            if progress is not None and (done % chunk == 0 or done == len(items)):
                progress(done, len(items))
        return results

    def _spread(self, function: Callable[[Item], Result], items: Sequence[Item], chunk: int) -> Iterator[Result]:
        if self._pool is None:
            self._pool = multiprocessing.get_context("spawn").Pool(self.count)
        return self._pool.imap(function, items, chunksize=chunk)


def parallel_map(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int = 1,
    progress: Progress | None = None,
    chunk: int = 8,
) -> list[Result]:
    """Return ``[function(item) for item in items]``, in order, by as many processes; see :meth:`Workers.map`."""
    with Workers(min(workers, max(-(-len(items) // chunk), 1))) as pool:
        return pool.map(function, items, progress, chunk)
