"""Where crystals come from, asked of runs that were built by hand."""

from __future__ import annotations

from aiida import orm

from aiida_icsg3d.campaigns.lineage import lineage
from tests.aiida.discovery_graph import Discovery


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
