"""How far a run is at one moment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.schedulers import JobState

from aiida_icsg3d.campaigns.running.snapshot import Snapshot, read_progress, take_snapshot
from aiida_icsg3d.foreground.progress import time_left
from tests.aiida.process_nodes import process

PLANNED = {"SampleCalculation": 1, "PwRelaxWorkChain": 2}


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
def test_what_follows_a_mode_is_part_of_the_phonons() -> None:
    run = process("DiscoverWorkChain", False)
    process("PwRelaxWorkChain", True, run)
    phonons = process("PhononsWorkChain", False, run)
    process("PwRelaxWorkChain", False, phonons)
    assert take_snapshot(run, {**PLANNED, "PhononsWorkChain": 1}).text == "computing phonons"
    assert take_snapshot(run, {**PLANNED, "PhononsWorkChain": 2}).text == "computing phonons (0 of 2 crystals)"


@pytest.mark.usefixtures("aiida_profile_clean")
def test_a_campaign_counts_within_its_round_and_on_from_where_it_began() -> None:
    """Before, the relaxations of all rounds were counted together, of as many as one round has."""
    history = orm.Dict({"rounds": [{}, {}]}).store()
    node = orm.WorkChainNode()
    node.base.links.add_incoming(history, link_type=LinkType.INPUT_WORK, link_label="history")
    run = process("CampaignWorkChain", False, node=node)
    assert take_snapshot(run, PLANNED).text == "starting"
    first = process("DiscoverWorkChain", True, run)
    for _ in range(2):
        process("PwRelaxWorkChain", True, first)
    tuning = process("TrainWorkChain", False, run)
    process("TrainCalculation", False, tuning, orm.CalcJobNode())
    assert take_snapshot(run, PLANNED).text == "round 3: training"
    second = process("DiscoverWorkChain", False, run)
    assert take_snapshot(run, PLANNED).text == "round 4: starting"
    process("PwRelaxWorkChain", True, second)
    process("PwRelaxWorkChain", False, second)
    snapshot = take_snapshot(run, PLANNED)
    assert snapshot.text == "round 4: relaxing (1 of 2 crystals)"
    assert time_left(snapshot, PLANNED, {}, 60.0) == (60.0, True)


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
    # in its first epoch of two, a training has no epoch behind it, but steps
    (tmp_path / "progress.jsonl").write_text(json.dumps({"done": 0, "total": 2, "step": 30, "steps": 400}) + "\n")
    assert read_progress(job) == (30, 400)


@pytest.mark.usefixtures("aiida_profile_clean")
def test_a_paused_process_is_shown_with_its_reason() -> None:
    """The console went on to say how much time was left, while nothing would happen any more."""
    run = process("DiscoverWorkChain", False)
    job = process("SampleCalculation", False, run, orm.CalcJobNode())
    job.pause()
    job.set_process_status("transport task upload failed 5 times consecutively")
    snapshot = take_snapshot(run, PLANNED)
    assert snapshot.paused == (job.pk, "transport task upload failed 5 times consecutively")
    assert f"PAUSED: process {job.pk}, transport task upload failed" in snapshot.text


@pytest.mark.usefixtures("aiida_profile_clean")
def test_a_job_in_the_queue_says_so() -> None:
    run = process("DiscoverWorkChain", False)
    node = orm.CalcJobNode()
    node.set_scheduler_state(JobState.QUEUED)
    process("SampleCalculation", False, run, node)
    assert take_snapshot(run, PLANNED).text == "sampling, in the queue"
