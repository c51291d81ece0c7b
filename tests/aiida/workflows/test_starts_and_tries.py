"""Relaxations from several magnetic starts, and those that were cut off and are tried again."""

# ruff: noqa: F811  (a fixture is imported and asked for by its name)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aiida import orm
from aiida.engine import ProcessState

from aiida_icsg3d.dft.engine import task_label
from tests.aiida.dft.crystals import disordered, nickel_oxide
from tests.aiida.workflows.test_validate import (  # noqa: F401  (fixtures among them)
    BASE,
    PW,
    RELAX,
    called,
    code,
    family,
    give_outputs,
    go_on,
    has_run,
    perovskite,
    process,
    relaxation,
)

pytestmark = pytest.mark.usefixtures("aiida_profile_clean")


def iron_oxide(process: Callable[..., Any]) -> Any:
    """Return a chain with FeO in a cell that allows an antiferromagnetic order, and its two relaxations, as ended."""
    chain = process({"a": nickel_oxide(("Fe", "Fe"), symbol="Fe")})
    for start, energy, total in (("ferromagnetic", -40.0, 7.9), ("antiferromagnetic", -81.0, 0.0)):
        node = relaxation(chain, 0, "a", start)
        relaxed = chain.ctx.prepared[task_label(["a"], start)]
        said = {"number_of_spin_components": 2, "total_magnetization": total, "absolute_magnetization": 8.0}
        give_outputs(node, relaxed.clone(), energy, **said)
        has_run(chain, node, "a", start)
    return chain


def test_both_orders_are_relaxed_and_the_lower_is_kept(process: Callable[..., Any]) -> None:
    """The ferromagnetic cell has two atoms, the antiferromagnetic four: energies are compared per atom."""
    chain = iron_oxide(process)
    assert chain.results() is None
    entry = chain.outputs["results"]["a"]
    assert (entry["start"], entry["energy_eV"]) == ("antiferromagnetic", -81.0)
    assert entry["magnetic_order"] == "antiferromagnetic"
    starts = {start: (e["energy_per_atom_eV"], e["magnetic_order"]) for start, e in entry["starts"].items()}
    assert starts == {"ferromagnetic": (-20.0, "ferromagnetic"), "antiferromagnetic": (-20.25, "antiferromagnetic")}
    assert entry["note"] is None
    relaxed = chain.outputs["relaxed"]["a"]
    assert relaxed.get_site_kindnames() == ["Fe1", "Fe2", "O", "O"]
    energy = chain.outputs["energies"]["a"]
    assert (energy["formula"], energy["n_atoms"], energy["energy_per_atom_eV"]) == ("FeO", 4, -20.25)
    assert energy["settings_hash"] == entry["settings"]["hash"]
    assert energy.creator.inputs.structure.uuid == relaxed.uuid
    found = orm.QueryBuilder().append(orm.Dict, filters={"attributes.settings_hash": entry["settings"]["hash"]}).all()
    assert [node.uuid for (node,) in found] == [energy.uuid]


def test_one_of_two_orders_failed(process: Callable[..., Any]) -> None:
    chain = iron_oxide(process)
    failed = relaxation(chain, 401, "a", "antiferromagnetic")
    called(called(failed, BASE, 410), PW, 410, "no self-consistency")
    has_run(chain, failed, "a", "antiferromagnetic")
    assert chain.results() is None
    entry = chain.outputs["results"]["a"]
    assert (entry["start"], entry["energy_eV"]) == ("ferromagnetic", -40.0)
    assert "no self-consistency" in entry["starts"]["antiferromagnetic"]["reason"]


def test_what_is_disordered_fails_alone(process: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    chain = process({"alloy": disordered("Ti Pb", [0.5, 0.5]), "good": perovskite()})
    monkeypatch.setattr(chain, "submit", lambda *_, **__: orm.WorkChainNode().store())
    assert set(chain.launch() or {}) == {"relaxation_good"}
    assert "is shared (Ti 0.5, Pb 0.5)" in chain.ctx.refused["alloy"]


@pytest.mark.parametrize(("state", "tries"), [(ProcessState.KILLED, 3), (ProcessState.FINISHED, 1)])
def test_a_job_that_was_cut_off_is_tried_again(
    process: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, state: ProcessState, tries: int
) -> None:
    """A killed job is begun twice more, one without convergence is not."""
    chain = process({"a": perovskite()})
    begun: list[orm.ProcessNode] = []

    def submit(*_: Any, **__: Any) -> orm.ProcessNode:
        node = called(None, RELAX, 401)
        called(called(node, BASE, 302), PW, 410, state=state)
        begun.append(node)
        return node

    monkeypatch.setattr(chain, "submit", submit)
    assert len(list(go_on(chain))) >= tries
    assert len(begun) == tries
    assert chain.ctx.relaxation_a.uuid == begun[-1].uuid


def test_an_energy_that_was_cut_off_is_tried_again(
    process: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It begins as soon as its crystal is relaxed, and again after a kill; before, the crystal had failed."""
    chain = process({"a": perovskite()})
    node = relaxation(chain, 0)
    give_outputs(node, perovskite(a=3.9), -50.0)
    chain.ctx.waiting = ["a"]
    energies: list[orm.ProcessNode] = []

    def submit(_process: Any, **inputs: Any) -> orm.ProcessNode:
        if inputs["metadata"]["call_link_label"] == "relax_a":
            return node
        failed = not energies
        energies.append(called(None, BASE, 302 if failed else 0))
        if failed:
            called(energies[-1], PW, 410, state=ProcessState.KILLED)
        return energies[-1]

    monkeypatch.setattr(chain, "submit", submit)
    assert list(go_on(chain)) == [["relaxation_a"], ["energy_a"], ["energy_a"]]
    assert chain.ctx.energy_a.uuid == energies[-1].uuid


@pytest.mark.parametrize(("status", "inner"), [(400, 0), (0, 501)])
def test_a_cell_that_was_still_changing_goes_on_from_there(
    process: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, status: int, inner: int
) -> None:
    """Anatase from a guessed prototype ended after three iterations, and with it every oxide of titanium."""
    chain = process({"a": perovskite()})
    begun: list[Any] = []

    def submit(_process: Any, **inputs: Any) -> orm.ProcessNode:
        begun.append(inputs["structure"])
        node = called(None, RELAX, status if len(begun) == 1 else 0)
        base = called(node, BASE, inner if len(begun) == 1 else 0)
        called(base, PW, inner if len(begun) == 1 else 0)
        give_outputs(base, perovskite(a=4.1), -50.0)
        return node

    monkeypatch.setattr(chain, "submit", submit)
    monkeypatch.setattr(chain, "energy_of", lambda *_: None)
    list(go_on(chain))
    assert [round(structure.cell_lengths[0], 3) for structure in begun] == [4.0, 4.1]


def test_retries_may_be_switched_off(process: Callable[..., Any]) -> None:
    assert process({"a": perovskite()}, overrides={"max_retries": 0}).inputs.max_retries.value == 0
    with pytest.raises(ValueError, match="it must be 0 or more"):
        process({"a": perovskite()}, overrides={"max_retries": -1})
