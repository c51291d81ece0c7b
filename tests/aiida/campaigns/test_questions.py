"""Questions about candidates, asked of runs that were built by hand."""

from __future__ import annotations

import pytest
from aiida import orm

from aiida_icsg3d.campaigns.questions import discover_workchains, duplicates, failures, find, ranking
from tests.aiida.discovery_graph import Discovery


def test_ranking_over_runs(runs: list[Discovery]) -> None:
    chains = [run.workchain for run in runs]
    found = ranking(chains)
    assert [item.candidate.id for item in found] == ["s000002", "s000002", "s000005", "s000005"]
    assert ranking(chains, descending=True)[0].candidate.id == "s000005"
    by_energy = ranking(chains, "energy_per_atom_eV")
    assert by_energy[0].candidate.id == "s000002"
    with pytest.raises(KeyError, match="no candidate has 'colour'"):
        ranking(chains, "colour")


def test_ranking_of_a_group(runs: list[Discovery]) -> None:
    group = orm.Group(label="just the first").store()
    group.add_nodes(runs[0].workchain)
    assert discover_workchains(group)[0].pk == runs[0].workchain.pk
    assert {item.campaign.node.pk for item in ranking(group)} == {runs[0].workchain.pk}


def test_failures_name_the_reason(runs: list[Discovery]) -> None:
    (failure,) = failures(runs[0].workchain)
    assert (failure.id, failure.formula, failure.exit_status) == ("s000005", "BaNbN3", 401)
    assert failure.reason == "PwCalculation ended with 410: not neutral"
    assert failures(runs[1].workchain) == []  # its relaxation still runs


def test_duplicates_across_runs(runs: list[Discovery]) -> None:
    structures = [run.crystals[name] for run in runs for name in ("s000002", "s000005")]
    groups = duplicates(structures)
    assert sorted(len(group) for group in groups) == [2, 2]
    for group in groups:
        assert len({node.get_formula() for node in group}) == 1
    assert duplicates(structures[:2]) == []


def test_find(runs: list[Discovery]) -> None:
    chains = [runs[0].workchain]
    assert [item.candidate.id for item in find(chains, formula="TiPbO3")] == ["s000002"]
    assert [item.candidate.id for item in find(chains, elements=["Ti", "O"])] == ["s000002", "s000001"]
    assert find(chains, elements=["U"]) == []
    with pytest.raises(ValueError, match="say what to look for"):
        find(chains)
