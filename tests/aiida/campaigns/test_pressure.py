"""The pressure that a relaxation left."""

from __future__ import annotations

import numpy as np
import pytest
from aiida import orm

from aiida_icsg3d.campaigns.candidate import Candidate
from aiida_icsg3d.campaigns.pressure import residual_pressure
from tests.aiida.discovery_graph import finish, process


def test_pressure_is_a_third_of_the_trace_of_the_last_stress(aiida_profile: object) -> None:
    trajectory = orm.ArrayData()
    trajectory.set_array("stress", np.stack([np.eye(3) * 9, np.diag([0.1, 0.2, 0.6])]))
    chain = process(orm.WorkChainNode, "aiida.workflows:quantumespresso.pw.relax", {}, None)
    finish(chain, {"output_trajectory": trajectory.store()})
    found = residual_pressure(Candidate("a", {}, None, {"workchain_uuid": chain.uuid}))
    assert found == pytest.approx(0.3)


def test_other_engines_say_it_themselves_or_not_at_all(aiida_profile: object) -> None:
    assert residual_pressure(Candidate("a", {}, None, {"pressure_GPa": -0.2})) == -0.2
    assert residual_pressure(Candidate("a", {}, None, {"workchain_uuid": None})) is None
    assert residual_pressure(Candidate("a", {}, None, None)) is None
