"""The runs of a profile at a glance."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from aiida import orm

from aiida_icsg3d.campaigns.running.overview import overview, runs
from aiida_icsg3d.runner_mark import RUN_BY, is_left, mark
from tests.aiida.discovery_graph import build_discovery
from tests.aiida.process_nodes import process

pytestmark = pytest.mark.usefixtures("aiida_profile_clean")


def ours(name: str, ended: bool, caller: orm.ProcessNode | None = None) -> orm.ProcessNode:
    """Return a WorkChain of this plugin."""
    node = orm.WorkChainNode(process_type=f"aiida.workflows:icsg3d.{name}")
    return process(f"{name.title()}WorkChain", ended, caller, node)


def test_runs_are_what_nothing_else_called() -> None:
    first = ours("discover", True)
    ours("generate", True, first)
    second = ours("train_all", False)
    process("PwRelaxWorkChain", True)
    assert [node.pk for node in runs()] == [second.pk, first.pk]
    assert [node.pk for node in runs(limit=1)] == [second.pk]
    group = orm.Group("mine").store()
    group.add_nodes([first])
    assert [node.pk for node in runs(group)] == [first.pk]


def test_a_run_that_ended(tmp_path: Path) -> None:
    run = overview(build_discovery(tmp_path).workchain)
    assert (run.state, run.paused, run.cause) == ("finished", (), None)
    assert run.funnel["selected"] == 2


def test_paused_is_no_running() -> None:
    run = ours("discover", False)
    job = process("SampleCalculation", False, run, orm.CalcJobNode())
    assert overview(run).state == "running"
    job.pause()
    job.set_process_status("upload_calculation failed 5 times")
    found = overview(run)
    assert found.state == "paused"
    assert [(node.pk, why) for node, why in found.paused] == [(job.pk, "upload_calculation failed 5 times")]


def test_a_run_whose_terminal_is_gone() -> None:
    """It was shown as running for ever."""
    run = ours("discover", False)
    assert not is_left(run)  # the daemon's
    mark(run)
    assert not overview(run).left
    ours_ = run.base.extras.get(RUN_BY)
    run.base.extras.set(RUN_BY, ours_ | {"began": 1.0})  # another process has the number by now
    assert overview(run).left
    run.base.extras.set(RUN_BY, ours_ | {"began": 1.0, "host": "elsewhere"})
    assert not overview(run).left


def test_a_runner_that_was_killed_and_not_asked_about_is_gone() -> None:
    run = ours("discover", ended=False)
    killed = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    began = psutil.Process(killed.pid).create_time()
    run.base.extras.set(RUN_BY, {"host": socket.gethostname(), "pid": killed.pid, "began": began})
    assert not is_left(run)
    killed.kill()
    while psutil.Process(killed.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert is_left(run)
    killed.communicate()


def test_of_a_campaign_its_last_round() -> None:
    campaign = ours("campaign", ended=False)
    assert overview(campaign).stage == "starting"
    ours("discover", True, campaign)
    assert overview(campaign).stage == "round 1: done"
    ours("discover", False, campaign)
    assert overview(campaign).stage == "round 2: starting"
