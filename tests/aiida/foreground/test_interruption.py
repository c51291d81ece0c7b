"""Ctrl-C during a run: the job on the computer is cancelled, and processes are killed, not left waiting."""

from __future__ import annotations

import os
import signal
import threading
import time
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from aiida.engine import ToContext, WorkChain
from aiida.orm import Int, ProcessNode, QueryBuilder, load_code
from aiida.plugins import CalculationFactory
from plumpy.exceptions import KilledError

from aiida_icsg3d.foreground.progress import Reporter, run_with_progress
from aiida_icsg3d.setup import prepare_code

SLEEP = 60


class Patient(WorkChain):
    """Waits for a job that sleeps, and would start another one after it."""

    @classmethod
    def define(cls, spec: Any) -> None:
        super().define(spec)
        spec.outline(cls.wait, cls.wait)

    def wait(self) -> ToContext:
        """Submit the job."""
        builder = CalculationFactory("core.arithmetic.add").get_builder()
        builder.code, builder.x, builder.y = load_code("bash"), Int(1), Int(2)
        builder.metadata.options = {"sleep": SLEEP, "resources": {"num_machines": 1}}
        return ToContext(job=self.submit(builder))


def interrupt_when(running: Any) -> None:
    """Send SIGINT to this process once the job runs."""
    for _ in range(300):
        time.sleep(0.1)
        if running():
            time.sleep(0.5)
            break
    os.kill(os.getpid(), signal.SIGINT)


def test_jobs_are_cancelled_and_processes_killed(localhost: Any) -> None:
    prepare_code(localhost, "bash", "core.arithmetic.add", Path("/bin/bash"))
    code = load_code("bash")
    assert code.computer.pk == localhost.pk
    work = Path(localhost.get_workdir().format(username=os.environ.get("USER", "")))
    before = set(work.rglob("_scheduler-stdout.txt")) if work.is_dir() else set()

    def running() -> bool:
        return work.is_dir() and bool(set(work.rglob("_scheduler-stdout.txt")) - before)

    stream, start = StringIO(), time.monotonic()
    handler = signal.getsignal(signal.SIGINT)
    threading.Thread(target=interrupt_when, args=(running,), daemon=True).start()
    try:
        with pytest.raises(KilledError):
            run_with_progress(Patient.get_builder(), Reporter({}, {}, stream), interval=0.5)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert time.monotonic() - start < SLEEP
    assert "interrupted: cancelling the jobs" in stream.getvalue()
    labels = ["ArithmeticAddCalculation", "Patient"]
    query = QueryBuilder().append(ProcessNode, filters={"attributes.process_label": {"in": labels}})
    nodes = query.all(flat=True)
    assert sorted(node.process_label for node in nodes) == labels
    assert all(node.is_terminated for node in nodes)
