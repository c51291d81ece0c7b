"""Questions about candidates, asked of runs that were built by hand."""

from __future__ import annotations

import pytest
from aiida import orm

from aiida_icsg3d.campaigns.campaign import NotACampaignError, read_campaign
from aiida_icsg3d.campaigns.candidates import discover_workchains, duplicates, failures, find, lineage, ranking
from tests.aiida.discovery_graph import Discovery, build_discovery


@pytest.fixture(scope="module")
def runs(aiida_profile: object, tmp_path_factory: pytest.TempPathFactory) -> list[Discovery]:
    """Return a run that ended and one that still runs, with models from elsewhere."""
    first = build_discovery(tmp_path_factory.mktemp("first"))
    second = build_discovery(tmp_path_factory.mktemp("second"), summary=False, trained_here=False)
    return [first, second]


def test_lineage_reaches_from_dataset_to_relaxed_crystal(runs: list[Discovery]) -> None:
    run = runs[0]
    steps = lineage(run.relaxed["s000002"])
    trained = ["dataset"] + ["train"] * 4 + ["model"] * 4
    generated = ["sample", "segment", "rebuild", "crystal", "screen", "relax", "relaxed"]
    assert [step.stage for step in steps] == trained + generated
    by_stage = {step.stage: step.node.uuid for step in steps}
    assert run.dataset is not None
    assert by_stage["dataset"] == run.dataset.uuid
    assert by_stage["rebuild"] == run.jobs["rebuild"].uuid
    assert by_stage["crystal"] == run.crystals["s000002"].uuid
    assert by_stage["relaxed"] == run.relaxed["s000002"].uuid


def test_lineage_is_the_same_from_either_end(runs: list[Discovery]) -> None:
    run = runs[0]
    ends = [lineage(node) for node in (run.crystals["s000002"], run.relaxed["s000002"])]
    assert [step.node.pk for step in ends[0]] == [step.node.pk for step in ends[1]]


def test_lineage_leaves_the_other_crystals_out(runs: list[Discovery]) -> None:
    nodes = {step.node.uuid for step in lineage(runs[0].crystals["s000001"])}
    assert runs[0].crystals["s000001"].uuid in nodes
    assert runs[0].crystals["s000002"].uuid not in nodes
    assert runs[0].relaxed["s000002"].uuid not in nodes


def test_lineage_with_files_and_imported_models(runs: list[Discovery]) -> None:
    stages = [step.stage for step in lineage(runs[1].crystals["s000002"], files=True)]
    assert stages[0] == "model"  # nothing was trained here
    assert {"fields", "segments", "crystals"} <= set(stages)


def test_lineage_of_a_crystal_from_elsewhere(aiida_profile: object) -> None:
    node = orm.StructureData(cell=[[3, 0, 0], [0, 3, 0], [0, 0, 3]])
    node.append_atom(position=(0, 0, 0), symbols="Fe")
    assert [step.stage for step in lineage(node.store())] == ["base"]


def test_symmetrised_crystal_keeps_its_lineage(runs: list[Discovery]) -> None:
    from aiida_icsg3d.workflows.relaxations import symmetrise_structure

    moved = symmetrise_structure(runs[1].crystals["s000002"], orm.Float(0.1))
    stages = [step.stage for step in lineage(moved)]
    assert stages[-4:] == ["symmetrise", "symmetrised", "relax", "relaxed"]
    assert "rebuild" in stages


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


def test_unfinished_run_is_read_from_its_processes(runs: list[Discovery]) -> None:
    campaign = read_campaign(runs[1].workchain)
    screened = {"valid": 3, "unique": 3, "novel": 2, "selected": 2}
    assert campaign.funnel == {"sampled": 8, "rebuilt": 4, **screened, "relaxed": 1, "failed": 0}
    first = campaign.best[0]
    assert first.id == "s000002"
    assert first.relaxed_well
    assert first.uuid == runs[1].crystals["s000002"].uuid
    assert campaign.relaxed["s000002"].uuid == runs[1].relaxed["s000002"].uuid
    assert first.relax is not None
    # computed from the crystals, not copied: (3.88 / 3.97)^3
    assert first.relax["volume_change_percent"] == pytest.approx(-6.648, abs=1e-3)


def test_other_processes_are_refused(runs: list[Discovery]) -> None:
    with pytest.raises(NotACampaignError, match="give the PK or UUID of a DiscoverWorkChain"):
        read_campaign(runs[0].jobs["sample"])


def test_candidate_by_id(runs: list[Discovery]) -> None:
    campaign = read_campaign(runs[0].workchain)
    assert campaign.find("s000007").row["reason"] == "not neutral"
    with pytest.raises(ValueError, match="no candidate 's9'; the best are s000002"):
        campaign.find("s9")
