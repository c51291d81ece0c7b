"""Relaxations in the engine: a slow one does not hold up the others."""

from __future__ import annotations

from typing import Any

import pytest
from aiida.engine import run_get_node

from aiida_icsg3d.dft.potential import PotentialEngine
from aiida_icsg3d.parsers.rebuild import structures
from aiida_icsg3d.workflows.validate import ValidateWorkChain
from tests.aiida import made_up

SLOW = 15.0
"""Seconds; longer than the two others together take."""


def test_a_slow_relaxation_holds_nothing_up(fake_code: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PotentialEngine, "batch", 1)
    code = fake_code(relax={"given": True, "sleeps": {"s000000": SLOW}})
    crystals = {name: node.store() for name, node in structures(made_up.crystals(3), seed=1)}
    builder = ValidateWorkChain.get_builder_from_protocol(code, crystals, overrides={"engine": "potential"})
    outputs, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    assert {entry["status"] for entry in outputs["results"].get_dict().values()} == {"relaxed"}
    relaxations = [job for job in node.called if job.process_label == "RelaxCalculation"]
    jobs = {next(iter(job.inputs.structures)): job for job in relaxations}
    assert len(jobs) == 3
    slow, last = jobs["s000000"], jobs["s000002"]
    assert last.ctime < slow.outputs.table.ctime  # in batches, it began after the end of the slow one
