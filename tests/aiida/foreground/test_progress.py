"""What is shown while a run goes on."""

from __future__ import annotations

import io

import pytest

from aiida_icsg3d.campaigns.running.snapshot import Snapshot
from aiida_icsg3d.foreground.progress import Reporter, duration, time_left

PLANNED = {"SampleCalculation": 1, "PwRelaxWorkChain": 2}
EXPECTED = {"SampleCalculation": 20.0, "PwRelaxWorkChain": 100.0}
BEGUN = Snapshot("SampleCalculation", 0, 1, {"SampleCalculation": 0, "PwRelaxWorkChain": 0})


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_time_left() -> None:
    assert time_left(BEGUN, PLANNED, EXPECTED, in_stage=5) == (115, True)
    assert time_left(BEGUN, PLANNED, EXPECTED, in_stage=50) == (100, True)
    half = Snapshot("SampleCalculation", 0, 1, BEGUN.counts, (32, 64))
    assert time_left(half, PLANNED, EXPECTED, in_stage=30) == (130, True)
    relaxing = Snapshot("PwRelaxWorkChain", 1, 2, {"SampleCalculation": 1, "PwRelaxWorkChain": 1})
    assert time_left(relaxing, PLANNED, EXPECTED, in_stage=60) == (60, True)  # as long as the first one took
    first = Snapshot("PwRelaxWorkChain", 0, 2, {"SampleCalculation": 1, "PwRelaxWorkChain": 0})
    assert time_left(first, PLANNED, EXPECTED, in_stage=60) == (40, True)
    assert time_left(first, PLANNED, EXPECTED, in_stage=200) == (-100, True)


def test_no_time_is_made_up() -> None:
    """Before the first run of a kind a constant stood in: 150 s a relaxation, 600 s a network."""
    unknown = {"SampleCalculation": None, "PwRelaxWorkChain": None}
    assert time_left(BEGUN, PLANNED, unknown, in_stage=5) == (None, False)
    half = Snapshot("SampleCalculation", 0, 1, BEGUN.counts, (32, 64))
    assert time_left(half, PLANNED, unknown, in_stage=30) == (30, False)  # of the stage, not of the run
    assert time_left(BEGUN, PLANNED, EXPECTED | {"PwRelaxWorkChain": None}, in_stage=5) == (15, False)
    stream, clock = io.StringIO(), Clock()
    reporter = Reporter(PLANNED, unknown, stream, clock)
    reporter.show(BEGUN)
    clock.now = 70
    reporter.show(Snapshot("PwRelaxWorkChain", 0, 2, {"SampleCalculation": 1, "PwRelaxWorkChain": 0}))
    clock.now = 200
    reporter.show(Snapshot("PwRelaxWorkChain", 1, 2, {"SampleCalculation": 1, "PwRelaxWorkChain": 1}))
    assert stream.getvalue().splitlines() == [
        "0 s  sampling",
        "1 min 10 s  relaxing (0 of 2 crystals)",
        "3 min 20 s  relaxing (1 of 2 crystals), about 2 min 10 s left",
    ]


def test_a_paused_run_promises_no_time() -> None:
    stream = io.StringIO()
    reporter = Reporter(PLANNED, EXPECTED, stream, Clock())
    reporter.show(BEGUN)
    reporter.show(Snapshot("SampleCalculation", 0, 1, BEGUN.counts, paused=(12, "no connection")))
    assert stream.getvalue().splitlines()[1] == "0 s  sampling, PAUSED: process 12, no connection"


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
        "3 min 20 s  relaxing (1 of 2 crystals), about 2 min 10 s left",
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
