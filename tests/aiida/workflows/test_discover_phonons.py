"""Phonons within a run: of the lowest above the hull, after the verdict, and in the summary beside it."""

from __future__ import annotations

from typing import Any

from aiida.common.extendeddicts import AttributeDict
from aiida.orm import Dict, Int

from aiida_icsg3d.workflows.stability.minima import MinimaWorkChain
from aiida_icsg3d.workflows.stability.verdict import VerdictWorkChain
from aiida_icsg3d.workflows.validate import ValidateWorkChain
from tests.aiida.process_nodes import finished
from tests.aiida.workflows.test_discover import chain, models, outcome, relaxing, structure

__all__ = ("chain", "models", "relaxing")


def test_phonons_of_the_lowest_above_the_hull(relaxing: Any) -> None:
    """They come after the verdict, and what they find stands in the summary beside it."""
    relaxed = {f"relaxed__{name}": structure(3.9) for name in "cab"}
    results = Dict({name: outcome("relaxed") | {"energy_per_atom_eV": -1.5} for name in "cab"})
    process = relaxing(finished(ValidateWorkChain, {"results": results, **relaxed}))
    assert not process.should_shake()
    heights = {"a": 0.3, "b": 0.1, "c": None}
    verdict = {"formation_energy_per_atom": -1.0, "label": "LDA", "phases": [], "lacks": [], "decomposition": {}}
    verdicts = Dict({name: {**verdict, "e_above_hull": height} for name, height in heights.items()})
    process.ctx.verdict = finished(VerdictWorkChain, {"verdicts": verdicts})
    process._parsed_inputs = AttributeDict({**process.inputs, "n_phonons": Int(2)})
    launched: dict[str, Any] = {}
    process.launch = lambda _process, name, inputs: launched.update({name: inputs})
    assert process.should_shake()
    process.shake()
    assert list(launched["phonons"]["structures"]) == ["b", "a"]
    found = {"b": {"dynamically_stable": False, "lowest_frequency_THz": -3.0},
             "a": {"dynamically_stable": None, "lowest_frequency_THz": None}}  # fmt: skip
    process.ctx.phonons = finished(MinimaWorkChain, {"results": Dict(found)})
    assert process.results() is None
    assert process.attached["modes"].get_dict() == found
    entries = {entry["id"]: entry["relax"] for entry in process.attached["summary"].get_dict()["candidates"]}
    assert (entries["b"]["dynamically_stable"], entries["b"]["lowest_frequency_THz"]) == (False, -3.0)
    assert "dynamically_stable" not in entries["a"]  # its phonons failed
