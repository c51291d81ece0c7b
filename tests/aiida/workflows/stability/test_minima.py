"""Phonons of several crystals: one after the other, and one that fails is named."""

from __future__ import annotations

from typing import Any

import pytest
from aiida import orm

from aiida_icsg3d.workflows.stability.minima import MinimaWorkChain, best_relaxed
from aiida_icsg3d.workflows.stability.phonons import PhononsWorkChain
from tests.aiida.process_nodes import finished
from tests.aiida.workflows.stability.test_phonons import copper

pytestmark = pytest.mark.usefixtures("aiida_profile")

MODES = {"lowest_frequency_THz": -2.0, "dynamically_stable": False, "wave_vector": [0, 0, 0], "supercell": [1, 1, 1],
         "threshold": 0.3}  # fmt: skip
FOLLOWED = {"lower_by_eV_per_atom": 0.02, "is_lower": True, "spacegroup_symbol": "P4mm"}


def test_one_after_the_other_and_a_failure_is_named(workchain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    structures = {name: copper(3.6).store() for name in ("a", "b", "c")}
    process = workchain(MinimaWorkChain, {"structures": structures, "settings": orm.Dict({"follow": False})})
    ends = {
        "phonons_a": finished(PhononsWorkChain, {"modes": orm.Dict({**MODES, "dynamically_stable": True})}),
        "phonons_b": finished(PhononsWorkChain, {}, 457, "forces of a displaced crystal, no self-consistency"),
        "phonons_c": finished(
            PhononsWorkChain, {"modes": orm.Dict(MODES), "followed": orm.Dict(FOLLOWED), "lower": copper(3.5)}
        ),
    }
    begun: list[Any] = []

    def submit(_process: Any, **inputs: Any) -> orm.ProcessNode:
        begun.append(inputs)
        return ends[inputs["metadata"]["call_link_label"]]

    monkeypatch.setattr(process, "submit", submit)
    attached: dict[str, Any] = {}
    process.out = attached.__setitem__
    process.setup()
    while process.should_go_on():
        waiting = process.launch()
        assert len(waiting) == 1
        process.ctx.update(waiting)
        process.take()
    process.results()
    assert [inputs["structure"].uuid for inputs in begun] == [structures[name].uuid for name in "abc"]
    assert all(inputs["settings"]["follow"] is False for inputs in begun)
    found = attached["results"].get_dict()
    assert found["a"] == {
        "workchain_uuid": ends["phonons_a"].uuid, "reason": None, "lowest_frequency_THz": -2.0,
        "dynamically_stable": True, "wave_vector": [0, 0, 0], "supercell": [1, 1, 1], "followed": None,
    }  # fmt: skip
    assert found["b"]["dynamically_stable"] is None
    assert "no self-consistency" in found["b"]["reason"]
    assert found["c"]["followed"] == FOLLOWED
    assert set(attached["lower"]) == {"c"}


def test_nothing_to_do(workchain: Any) -> None:
    process = workchain(MinimaWorkChain, {})
    process.setup()
    assert not process.should_go_on()


def test_the_lowest_above_the_hull_come_first() -> None:
    results = {name: {"energy_per_atom_eV": energy} for name, energy in (("a", -5.0), ("b", -4.0), ("c", -9.0))}
    verdicts = {"a": {"e_above_hull": 0.2}, "b": {"e_above_hull": 0.1}, "c": {"e_above_hull": None}}
    assert best_relaxed(dict.fromkeys("abc"), results, verdicts) == ["b", "a", "c"]
    assert best_relaxed(dict.fromkeys("abc"), results, {}) == ["c", "a", "b"]
