"""A monitor that stops a training that diverges or has stalled.

It reads the end of ``progress.jsonl`` in the working directory, over the transport that the job uses.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from pathlib import Path
from typing import Any

from aiida.engine.processes.calcjobs.monitors import CalcJobMonitorResult
from aiida.orm import CalcJobNode
from aiida.transports import Transport

from icsg3d_models.results import PROGRESS_FILE

DIVERGED = "training diverges"
STALLED = "training stalls"
"""Beginnings of the messages, by which the restarting WorkChain tells the two cases."""


def training(
    node: CalcJobNode, transport: Transport, stalled_seconds: float = 3600.0, divergence_factor: float = 100.0
) -> CalcJobMonitorResult | None:
    """Return an order to stop the job where its training diverges or has stalled.

    :param stalled_seconds: stop where no line was written for so long.
    :param divergence_factor: stop where a loss is so many times the lowest so far, or is not finite.
    """
    directory = node.get_remote_workdir()
    if directory is None:
        return None
    remote = str(Path(directory) / PROGRESS_FILE)
    if not transport.path_exists(remote):
        return None
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / PROGRESS_FILE
        transport.getfile(remote, local)
        lines = local.read_text(encoding="utf-8").splitlines()
    problem = diverging(parse_lines(lines), divergence_factor)
    if problem:
        return CalcJobMonitorResult(message=f"{DIVERGED}: {problem}")
    silence = time.time() - transport.get_attribute(remote).st_mtime
    if silence > stalled_seconds:
        message = f"{STALLED}: no progress for {silence:.0f} s, allowed are {stalled_seconds:.0f} s"
        return CalcJobMonitorResult(message=message)
    return None


def parse_lines(lines: list[str]) -> list[dict[str, Any]]:
    """Return the progress lines; the last may be half written and is then left out."""
    parsed = []
    for number, line in enumerate(lines):
        try:
            parsed.append(json.loads(line))
        except ValueError:
            if number + 1 < len(lines):
                raise
    return parsed


def diverging(progress: list[dict[str, Any]], factor: float) -> str | None:
    """Return what shows that a training diverges, or None.

    :param factor: a loss so many times its own lowest value so far is taken as divergence. Losses that
        fall below zero (likelihoods) are judged by finiteness only.
    """
    lowest: dict[str, float] = {}
    for line in progress:
        losses = {k: v for k, v in line.items() if "loss" in k and isinstance(v, int | float)}
        for name, value in losses.items():
            if not math.isfinite(value):
                return f"{name} is {value} at epoch {line.get('done')}"
            lowest[name] = min(value, lowest.get(name, value))
            if lowest[name] > 0 and value > factor * lowest[name]:
                times = f"more than {factor:g} times its lowest, {lowest[name]:.3g}"
                return f"{name} is {value:.3g} at epoch {line.get('done')}, {times}"
    return None
