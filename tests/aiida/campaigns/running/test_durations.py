"""How long earlier jobs took."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from aiida import orm
from aiida.common.links import LinkType

from aiida_icsg3d.campaigns.running.durations import REMEMBERED, Kind, earlier_seconds, earlier_seconds_per_step
from tests.aiida.process_nodes import process

pytestmark = pytest.mark.usefixtures("aiida_profile_clean")


def job(computer: orm.Computer, seconds: float, samples: int, caller: Any = None, ended: bool = True) -> Any:
    """Return a sampling job that made its results some time after it was made itself."""
    return timed(computer, seconds, "SampleCalculation", {"samples": samples}, {"mode": "prior"}, caller, ended)


def timed(computer: orm.Computer, seconds: float, label: str, counts: dict[str, int], given: dict[str, Any],
          caller: Any = None, ended: bool = True) -> Any:  # fmt: skip
    """Return a job with these settings that made its results some time after it was made itself."""
    node = orm.CalcJobNode(computer=computer)
    node.set_option("resources", {"num_machines": 1})
    results = orm.Dict({"counts": counts})
    settings = orm.Dict(given).store()
    node.base.links.add_incoming(settings, LinkType.INPUT_CALC, "settings")
    stored = process(label, ended, caller, node)
    results.base.links.add_incoming(stored, LinkType.CREATE, "results")
    results.store()
    results.backend_entity.model.ctime = stored.ctime + timedelta(seconds=seconds)
    return stored


def test_nothing_is_known_before_the_first_run(localhost: orm.Computer) -> None:
    assert earlier_seconds(Kind("SampleCalculation")) == []
    job(localhost, 9, 64, ended=False)
    assert earlier_seconds(Kind("SampleCalculation")) == []


def test_only_jobs_of_the_kind_and_size_count(localhost: orm.Computer) -> None:
    job(localhost, 10, 64)
    job(localhost, 300, 1000)
    kind = Kind("SampleCalculation", localhost.label, 64)
    assert earlier_seconds(kind) == pytest.approx([10])
    assert earlier_seconds(Kind("SampleCalculation", localhost.label, 96)) == pytest.approx([15])  # by the sample
    assert earlier_seconds(Kind("SampleCalculation", "elsewhere", 64)) == []
    assert earlier_seconds(Kind("SampleCalculation", size=64, settings={"mode": "base"})) == []
    assert earlier_seconds(Kind("SampleCalculation", size=64, settings={"mode": "prior"})) == pytest.approx([10])
    assert earlier_seconds(Kind("SegmentCalculation")) == []


def test_a_label_given_later_does_not_make_it_longer(localhost: orm.Computer) -> None:
    node = job(localhost, -0.001, 64)
    assert earlier_seconds(Kind("SampleCalculation")) == []  # no time at all is no measurement
    node = job(localhost, 5, 64)
    node.label = "mine"
    assert earlier_seconds(Kind("SampleCalculation")) == pytest.approx([5])


def test_what_came_from_the_cache_is_not_taken_for_work(localhost: orm.Computer) -> None:
    chain = process("PwRelaxWorkChain", True)
    job(localhost, 60, 64, chain)
    assert earlier_seconds(Kind("PwRelaxWorkChain")) == pytest.approx([60], abs=1)
    cached = process("PwRelaxWorkChain", True)
    job(localhost, 1, 64, cached).base.extras.set("_aiida_cached_from", "somewhere")
    assert earlier_seconds(Kind("PwRelaxWorkChain")) == pytest.approx([60], abs=1)


def test_the_newest_few_are_remembered(localhost: orm.Computer) -> None:
    for seconds in range(1, REMEMBERED + 3):
        job(localhost, seconds, 64)
    found = earlier_seconds(Kind("SampleCalculation", size=64))
    assert found == pytest.approx([7, 6, 5, 4, 3])


def test_steps_of_a_training_stand_for_others_of_its_network_and_batch(localhost: orm.Computer) -> None:
    for network, batch, seconds in (("unet", 32, 60), ("vae", 16, 500), ("unet", 8, 10)):
        given = {"network": network, "optimiser": {"batch_size": batch}}
        timed(localhost, seconds, "TrainCalculation", {"steps": 600}, given)
    assert earlier_seconds_per_step("unet", localhost.label, 32) == pytest.approx([0.1])
    assert earlier_seconds_per_step("unet", "elsewhere", 32) == []
    assert earlier_seconds_per_step("prior", localhost.label, 32) == []
    timed(localhost, 60, "TrainCalculation", {}, {"network": "prior", "optimiser": {"batch_size": 32}})
    assert earlier_seconds_per_step("prior", localhost.label, 32) == []  # it does not say how many it took
