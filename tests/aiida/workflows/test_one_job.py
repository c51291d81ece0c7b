"""One job for all stages: the same outputs, the same candidates, the same way back as with a job each."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from aiida.engine import run_get_node
from aiida.orm import CalcJobNode, InstalledCode, StructureData, load_node

from aiida_icsg3d.campaigns.asked import asked_for
from aiida_icsg3d.campaigns.campaign import read_campaign
from aiida_icsg3d.campaigns.lineage import lineage
from aiida_icsg3d.campaigns.predicted import meanings
from aiida_icsg3d.campaigns.questions import failures
from aiida_icsg3d.campaigns.running.overview import planned_of
from aiida_icsg3d.campaigns.unfinished import funnel_so_far
from aiida_icsg3d.data.pretrained import pretrained_fingerprint, pretrained_models
from aiida_icsg3d.report.artefacts import stage_facts
from aiida_icsg3d.report.generated import generated_occupancy
from aiida_icsg3d.workflows.discover import DiscoverWorkChain
from aiida_icsg3d.workflows.generate import GenerateWorkChain

KILLED = {"kill": True}
MEMORY = {"status": "out_of_memory", "message": "memory ran out"}


@pytest.fixture
def models(model: Any) -> dict[str, Any]:
    """Return a full set of models."""
    return {"vae": model("vae"), "unet": model("unet"), "prior": model("prior"), "predictors": {"a": model("cgcnn")}}


def discover(code: Any, models: dict[str, Any], reference: Any, one_job: bool = True, **more: Any) -> Any:
    """Run a discovery without DFT."""
    given: dict[str, Any] = {"n_samples": 4, "elements": ["Sr", "Ti", "O"], "seed": 3, **more}
    builder = DiscoverWorkChain.get_builder_from_protocol(
        {"icsg3d": code}, models=models, reference=reference, n_relaxations=0, prerelax=False, one_job=one_job, **given
    )
    return run_get_node(builder)[1]


def jobs_of(node: Any) -> list[CalcJobNode]:
    """Return the jobs of a run in the order in which they began."""
    return sorted((job for job in node.called_descendants if isinstance(job, CalcJobNode)), key=lambda job: job.pk)


def of(campaign: Any) -> list[dict[str, Any]]:
    """Return what a run tells of its candidates, without what differs from run to run."""
    return [{**candidate.row, "uuid": None} for candidate in campaign.candidates]


def test_as_with_a_job_each(fake_code: Any, models: dict[str, Any], dataset: Any) -> None:
    code = fake_code()
    several, one = (discover(code, models, dataset, one_job=flag) for flag in (False, True))
    assert [node.exit_status for node in (several, one)] == [0, 0], one.exit_message
    assert len(jobs_of(several)) == 4
    (job,) = jobs_of(one)
    assert job.process_type == "aiida.calculations:icsg3d.chain"
    assert {"sample__vae", "sample__prior", "segment__unet", "screen__predictors__a", "screen__reference"} <= {
        triple.link_label for triple in job.base.links.get_incoming()
    }
    a, b = read_campaign(several), read_campaign(one)
    assert a.funnel == b.funnel
    assert of(a) == of(b)
    assert [c.id for c in b.selected] == ["s000002", "s000001"]
    assert asked_for(one) == asked_for(several)
    assert meanings(one, b.properties) == meanings(several, a.properties)
    assert funnel_so_far(one.called_descendants) == funnel_so_far(several.called_descendants)
    assert planned_of(one) == {"ChainCalculation": 1}
    assert {entry["stage"] for entry in stage_facts(one)} == {entry["stage"] for entry in stage_facts(several)}
    assert failures(one) == []
    for candidate in b.candidates:
        crystal = load_node(candidate.uuid)
        twin = load_node(next(c.uuid for c in a.candidates if c.id == candidate.id))
        assert isinstance(crystal, StructureData)
        assert crystal.creator.pk == job.pk
        assert crystal.base.attributes.all == twin.base.attributes.all
        assert (crystal.label, crystal.description) == (twin.label, twin.description)
    steps = lineage(load_node(b.selected[0].uuid), files=True)
    assert {step.stage for step in steps} == {"dataset", "model", "chain", "crystal"}
    given = {step.node.uuid for step in steps if step.stage == "model"}
    assert given == {models[name].uuid for name in ("vae", "unet", "prior")} | {models["predictors"]["a"].uuid}
    generate = next(child for child in one.called if child.process_label == "GenerateWorkChain")
    assert "crystals.h5" in generate.outputs.crystals_retrieved.base.repository.list_object_names()
    assert "crystals" not in generate.outputs
    assert generate.outputs.results.get_dict()["stage"] == "rebuild"


def test_what_was_done_before_a_kill_is_kept(fake_code: Any, models: dict[str, Any], dataset: Any) -> None:
    node = discover(fake_code(rebuild=[KILLED, {}], screen=[KILLED, MEMORY, {}]), models, dataset)
    assert node.is_finished_ok, node.exit_message
    jobs = jobs_of(node)
    assert [job.exit_status for job in jobs] == [301, 301, 331, 0]
    kept = [
        [name for name, one in job.outputs.results.get_dict()["tables"]["stages"].items() if one["kept"]]
        for job in jobs[2:]
    ]
    assert kept == [["sample", "segment", "rebuild"]] * 2
    assert [job.inputs.parent_folder.creator.pk for job in jobs[1:]] == [job.pk for job in jobs[:-1]]
    # killed twice, the third time with less; memory said to have run out, the fourth with less again
    sizes = [job.inputs.sample.settings.get_dict().get("batch_size") for job in jobs]
    assert sizes == [None, None, 128, 64]
    assert [job.inputs.screen.settings.get_dict().get("threads") for job in jobs] == [None, None, 1, 1]
    crystals = [StructureData in {type(t.node) for t in job.base.links.get_outgoing()} for job in jobs]
    assert crystals == [False, False, False, True]  # linked once
    assert len(read_campaign(node).candidates) == 4


def test_it_cannot_be_made_to_work(fake_code: Any, models: dict[str, Any], dataset: Any) -> None:
    node = discover(fake_code(segment={"status": "input_incompatible", "message": "of another grid"}), models, dataset)
    assert node.exit_status == 452
    assert "the job of all stages" in node.exit_message
    assert "segment: of another grid" in node.exit_message
    (job,) = jobs_of(node)
    assert job.outputs.sample_results.get_dict()["status"] == "completed"
    assert [failure.id for failure in failures(node)] == ["chain"]


def test_results_that_are_none(fake_code: Any, models: dict[str, Any], dataset: Any) -> None:
    nothing = {"status": "nothing_rebuilt", "message": "too few peaks", "count": 4}
    node = discover(fake_code(rebuild=nothing), models, dataset)
    assert node.exit_status == 420
    assert "rebuild: too few peaks" in node.exit_message
    nothing = {"status": "nothing_valid", "message": "no candidate passed", "selected": []}
    node = discover(fake_code(screen=nothing), models, dataset)
    assert node.exit_status == 421
    assert "the funnel was crystals 4, valid 4" in node.exit_message
    assert len(read_campaign(node).candidates) == 4
    assert len(jobs_of(node)) == 1


def test_generation_alone(fake_code: Any, models: dict[str, Any]) -> None:
    arguments = (fake_code(), models["vae"], models["unet"], models["prior"])
    builder = GenerateWorkChain.get_builder_from_protocol(
        *arguments, n_samples=4, protocol="fast", overrides={"one_job": True}
    )
    outputs, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    assert "table" not in outputs
    (job,) = jobs_of(node)
    assert not any(name.startswith("screen") for name in job.outputs)
    assert planned_of(node) == {"ChainCalculation": 1}
    builder.screen.predictors = models["predictors"]
    builder.screen.settings = {"require": ["structure"]}
    builder.chain = {}
    with pytest.raises(ValueError, match="`screen` is given without `chain`"):
        run_get_node(builder)


def test_codes(fake_code: Any, models: dict[str, Any], dataset: Any, localhost: Any) -> None:
    other = InstalledCode(computer=localhost, filepath_executable="/bin/true", label="other").store()
    code = fake_code()
    given: dict[str, Any] = {"models": models, "reference": dataset, "n_relaxations": 0, "prerelax": False}
    with pytest.raises(ValueError, match=r"one job runs all stages with one code, but there are .* screen other@"):
        DiscoverWorkChain.get_builder_from_protocol({"icsg3d": code, "screen": other}, one_job=True, **given)
    builder = DiscoverWorkChain.get_builder_from_protocol(
        {"icsg3d": code, "chain": other}, one_job=True, options={"chain": {"queue_name": "q"}}, **given
    )
    assert builder.generate.chain.code.uuid == other.uuid
    options = builder.generate.chain.metadata.options
    assert (options["max_wallclock_seconds"], options["queue_name"]) == (14400, "q")


def test_with_the_program_itself(localhost: Any, tmp_path: Path) -> None:
    """Shipped models; that it makes what the stages make is tested beside the program; the report finds the fields."""
    script = tmp_path / "icsg3d"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m icsg3d_models.cli "$@"\n')
    script.chmod(0o755)
    code = InstalledCode(computer=localhost, filepath_executable=str(script), label=f"real-{tmp_path.name}").store()
    given: dict[str, Any] = {"models": pretrained_models("perov5"), "reference": pretrained_fingerprint("perov5"),
                             "elements": ["Pb", "Ti", "Mg", "O"], "n_samples": 8,
                             "overrides": {"screen": {"screen": {"settings": {"require": ["structure"]}}}}}  # fmt: skip
    node = discover(code, **given)
    assert node.is_finished_ok, node.exit_message
    campaign = read_campaign(node)
    assert campaign.funnel["rebuilt"] == 8
    best = load_node(campaign.selected[0].uuid)
    occupancy = generated_occupancy(best)
    assert occupancy is not None
    assert occupancy.max() > 0.5
    assert {step.stage for step in lineage(best)} == {"model", "chain", "crystal"}
