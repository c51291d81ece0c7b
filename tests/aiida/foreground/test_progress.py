"""What is shown while a run goes on."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import ProcessState

from aiida_icsg3d.foreground.progress import (
    Reporter,
    Snapshot,
    duration,
    expected_seconds,
    read_progress,
    take_snapshot,
    time_left,
    typical_seconds,
)

PLANNED = {"SampleCalculation": 1, "PwRelaxWorkChain": 2}


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def process(label: str, ended: bool, caller: orm.ProcessNode | None = None, node: Any = None) -> orm.ProcessNode:
    """Return a stored process node, running or ended, perhaps called by another."""
    node = node or orm.WorkChainNode()
    node.set_process_label(label)
    node.set_process_state(ProcessState.FINISHED if ended else ProcessState.RUNNING)
    if ended:
        node.set_exit_status(0)
    if caller is not None:
        link = LinkType.CALL_CALC if isinstance(node, orm.CalcJobNode) else LinkType.CALL_WORK
        node.base.links.add_incoming(caller, link_type=link, link_label=f"call_{label}_{len(caller.called)}")
    return node.store()


@pytest.mark.usefixtures("aiida_profile_clean")
def test_snapshots_of_a_run() -> None:
    run = process("DiscoverWorkChain", False)
    assert take_snapshot(run, PLANNED).text == "starting"
    inner = process("GenerateWorkChain", True, run)
    process("SampleCalculation", True, inner, orm.CalcJobNode())
    assert take_snapshot(run, PLANNED).text == "sampling"
    process("PwRelaxWorkChain", True, run)
    process("PwRelaxWorkChain", False, run)
    snapshot = take_snapshot(run, PLANNED)
    assert snapshot == Snapshot("PwRelaxWorkChain", 1, 2, {"SampleCalculation": 1, "PwRelaxWorkChain": 1})
    assert snapshot.text == "relaxing (1 of 2 crystals)"


@pytest.mark.usefixtures("aiida_profile_clean")
def test_what_a_job_says_of_itself(localhost: orm.Computer, tmp_path: Path) -> None:
    run = process("DiscoverWorkChain", False)
    node = orm.CalcJobNode(computer=localhost)
    node.set_option("resources", {"num_machines": 1})
    job = process("SampleCalculation", False, run, node)
    assert read_progress(job) is None
    job.set_remote_workdir(str(tmp_path))
    lines = [json.dumps({"stage": "sample", "done": done, "total": 64}) for done in (16, 48)]
    (tmp_path / "progress.jsonl").write_text("\n".join(lines) + "\n")
    assert take_snapshot(run, PLANNED).text == "sampling, 48 of 64"
    (tmp_path / "progress.jsonl").write_text(lines[0] + "\n" + '{"stage": "sam')
    assert read_progress(job) is None


def test_time_left() -> None:
    expected = {"SampleCalculation": 20.0, "PwRelaxWorkChain": 100.0}
    sampling = Snapshot("SampleCalculation", 0, 1, {"SampleCalculation": 0, "PwRelaxWorkChain": 0})
    assert time_left(sampling, PLANNED, expected, in_stage=5) == 115
    assert time_left(sampling, PLANNED, expected, in_stage=50) == 100
    half = Snapshot("SampleCalculation", 0, 1, sampling.counts, (32, 64))
    assert time_left(half, PLANNED, expected, in_stage=30) == 130
    relaxing = Snapshot("PwRelaxWorkChain", 1, 2, {"SampleCalculation": 1, "PwRelaxWorkChain": 1})
    assert time_left(relaxing, PLANNED, expected, in_stage=60) == 40
    assert time_left(relaxing, PLANNED, expected, in_stage=200) == 0


@pytest.mark.usefixtures("aiida_profile_clean")
def test_expected_time_is_learnt() -> None:
    assert expected_seconds({"PwRelaxWorkChain": 3}, at_once=2)["PwRelaxWorkChain"] == 2 * 150
    cached = process("PwRelaxWorkChain", True)
    cached.base.extras.set("_aiida_cached_from", "somewhere")
    assert typical_seconds("PwRelaxWorkChain") == 150
    process("PwRelaxWorkChain", True)
    assert typical_seconds("PwRelaxWorkChain") < 5


def test_quiet_where_there_is_no_terminal() -> None:
    stream, clock = io.StringIO(), Clock()
    reporter = Reporter(PLANNED, {"SampleCalculation": 20.0, "PwRelaxWorkChain": 100.0}, stream, clock)
    counts = {"SampleCalculation": 0, "PwRelaxWorkChain": 0}
    for done in (1, 2, 3):
        clock.now += 2
        reporter.show(Snapshot("SampleCalculation", 0, 1, counts, (done, 64)))
    clock.now = 70
    reporter.show(Snapshot("PwRelaxWorkChain", 0, 2, {"SampleCalculation": 1, "PwRelaxWorkChain": 0}))
    clock.now = 200
    reporter.show(Snapshot("PwRelaxWorkChain", 1, 2, {"SampleCalculation": 1, "PwRelaxWorkChain": 1}))
    reporter.finish()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("2 s  sampling, 1 of 64, about ")
    assert lines[1:] == [
        "1 min 10 s  relaxing (0 of 2 crystals), about 1 min 40 s left",
        "3 min 20 s  relaxing (1 of 2 crystals), longer than expected",
        "3 min 20 s  done",
    ]


def test_one_line_on_a_terminal() -> None:
    stream = Terminal()
    reporter = Reporter(PLANNED, {"SampleCalculation": 20.0, "PwRelaxWorkChain": 100.0}, stream, Clock())
    for done in range(3):
        reporter.show(Snapshot("SampleCalculation", 0, 1, {"SampleCalculation": 0, "PwRelaxWorkChain": 0}, (done, 64)))
    assert stream.getvalue().count("\r") == 3
    assert "\n" not in stream.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3725, "62 min 05 s")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text
