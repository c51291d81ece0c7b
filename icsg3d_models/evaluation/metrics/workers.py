"""Map a function over items on several processes, with progress."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]


def worker_count(threads: int | None) -> int:
    """Return how many processes to use: ``threads`` where given, else the cores this process may run on."""
    if threads is not None:
        return threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parallel_map(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int = 1,
    progress: Progress | None = None,
    chunk: int = 8,
) -> list[Result]:
    """Return ``[function(item) for item in items]``, in order, computed on ``workers`` processes.

    Processes are spawned, not forked: a fork of a process in which torch has started threads can hang.

    :param function: importable (a spawned process finds it by name).
    :param items: what to work on; a few items are done here, since a process takes seconds to start.
    :param progress: called as ``progress(done, total)`` after every finished chunk.
    """
    results: list[Result] = []
    if workers == 1 or len(items) <= 4 * chunk:
        for done, item in enumerate(items, start=1):
            results.append(function(item))
            if progress is not None and (done % chunk == 0 or done == len(items)):
                progress(done, len(items))
        return results
    with multiprocessing.get_context("spawn").Pool(min(workers, -(-len(items) // chunk))) as pool:
        for done, result in enumerate(pool.imap(function, items, chunksize=chunk), start=1):
            results.append(result)
            if progress is not None and (done % chunk == 0 or done == len(items)):
                progress(done, len(items))
    return results
