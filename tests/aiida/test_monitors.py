"""The monitor: on lines made by hand, and over the transport."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from aiida.engine.processes.calcjobs.monitors import CalcJobMonitor, CalcJobMonitorAction
from aiida.orm import CalcJobNode

from aiida_icsg3d.monitors import DIVERGED, STALLED, diverging, parse_lines, training


@pytest.mark.parametrize(
    ("losses", "found"),
    [
        ([1.0, 0.5, 0.4], False),
        ([1.0, 0.5, float("nan")], True),
        ([1.0, float("inf")], True),
        ([1.0, 0.01, 0.9], False),
        ([1.0, 0.01, 1.1], True),
        ([-5.0, -6.0, 3.0], False),
        ([], False),
    ],
)
def test_diverging(losses: list[float], found: bool) -> None:
    lines = [{"done": i, "train_loss": loss, "accuracy": float("nan")} for i, loss in enumerate(losses)]
    assert bool(diverging(lines, 100)) is found


def test_half_written_line() -> None:
    assert parse_lines(['{"done": 1}', '{"do']) == [{"done": 1}]
    assert parse_lines([]) == []
    with pytest.raises(ValueError, match="Expecting"):
        parse_lines(["{", '{"done": 1}'])


@pytest.fixture
def job(localhost: Any, tmp_path: Path) -> CalcJobNode:
    """Return a job with a working directory."""
    node = CalcJobNode(computer=localhost, process_type="aiida.calculations:icsg3d.train")
    node.set_remote_workdir(str(tmp_path))
    return node.store()


def test_over_the_transport(job: CalcJobNode, localhost: Any, tmp_path: Path) -> None:
    progress = tmp_path / "progress.jsonl"
    with localhost.get_transport() as transport:
        assert training(job, transport) is None
        progress.write_text(json.dumps({"done": 1, "train_loss": 0.5}) + "\n")
        assert training(job, transport) is None
        old = time.time() - 100
        os.utime(progress, (old, old))
        assert training(job, transport) is None
        result = training(job, transport, stalled_seconds=50)
        assert result is not None
        assert result.message is not None
        assert result.message.startswith(STALLED)
        with open(progress, "a") as stream:
            stream.write('{"done": 2, "train_loss": NaN}\n')
        result = training(job, transport)
    assert result is not None
    assert result.action is CalcJobMonitorAction.KILL
    assert (result.message or "").startswith(DIVERGED)


def test_entry_point() -> None:
    assert CalcJobMonitor("icsg3d.training", {"stalled_seconds": 5.0}).load_entry_point() is training
    with pytest.raises(ValueError, match="does not accept"):
        CalcJobMonitor("icsg3d.training", {"stalled": 5.0})
