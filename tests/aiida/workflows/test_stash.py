"""Big files that are kept from a purge by AiiDA's stash, and found again when they are needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiida.engine import run_get_node
from aiida.manage.caching import enable_caching
from aiida.orm import CalcJobNode, RemoteStashFolderData

from aiida_icsg3d.calculations.sample import SampleCalculation
from aiida_icsg3d.calculations.train import TrainCalculation
from aiida_icsg3d.launch.job_options import job_options
from aiida_icsg3d.workflows.generate import GenerateWorkChain
from aiida_icsg3d.workflows.train import TrainWorkChain

GONE = {"status": "input_missing", "message": "fields.h5: no such file", "purge_linked": "fields"}


@pytest.fixture
def stash(tmp_path: Path) -> dict[str, Any]:
    """Return the options as they stand in a file: only where to."""
    return {"icsg3d": {"stash": {"target_base": str(tmp_path / "kept")}}}


def test_fields_purged_while_a_job_waited(fake_code: Any, model: Any, stash: dict[str, Any], tmp_path: Path) -> None:
    """The stash is read; the stage that made them does not run again."""
    code = fake_code(segment=[GONE, {}])
    stages = ("sample", "segment", "rebuild")
    options = job_options(stash, {"icsg3d": code}, stages)
    assert options["sample"]["stash"]["source_list"] == ["fields.h5"]
    assert options["segment"]["stash"]["source_list"] == ["segments.h5"]
    assert "stash" not in options.get("rebuild", {})  # it has no big files
    overrides = {stage: {"options": options.get(stage, {})} for stage in stages}
    builder = GenerateWorkChain.get_builder_from_protocol(
        code, model("vae"), model("unet"), model("prior"), n_samples=4, protocol="fast", overrides=overrides
    )
    _, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    jobs = [job for job in node.called_descendants if isinstance(job, CalcJobNode)]
    labels = [job.process_label for job in sorted(jobs, key=lambda job: job.pk)]
    assert labels == ["SampleCalculation", "SegmentCalculation", "SegmentCalculation", "RebuildCalculation"]
    kept = jobs[0].outputs.remote_stash
    assert isinstance(kept, RemoteStashFolderData)
    assert Path(kept.target_basepath).is_relative_to(tmp_path / "kept")
    rebuild = next(job for job in jobs if job.process_label == "RebuildCalculation")
    assert rebuild.inputs.fields_folder.uuid == kept.uuid
    assert rebuild.inputs.segments_folder.uuid != kept.uuid


def test_a_stage_whose_files_are_stashed_is_reused(fake_code: Any, model: Any, stash: dict[str, Any]) -> None:
    """Its scratch is cleaned; without a stash it would run again."""
    code = fake_code()
    options = job_options(stash, {"icsg3d": code}, ("sample",))["sample"]
    inputs: dict[str, Any] = {"code": code, "vae": model("vae"), "prior": model("prior"), "settings": {"n_samples": 3}}
    _, node = run_get_node(SampleCalculation, **inputs, metadata={"options": options})
    node.outputs.remote_folder._clean()
    with enable_caching():
        _, again = run_get_node(SampleCalculation, **inputs, metadata={"options": options})
        assert again.base.caching.is_created_from_cache
        (Path(node.outputs.remote_stash.target_basepath) / "fields.h5").unlink()
        _, third = run_get_node(SampleCalculation, **inputs, metadata={"options": options})
    assert not third.base.caching.is_created_from_cache


def test_a_training_goes_on_from_its_stash(fake_code: Any, dataset: Any, workchain: Any, stash: dict[str, Any]) -> None:
    code = fake_code(train=[{"kill": True}, {}])
    options = job_options(stash, {"icsg3d": code}, ("train",))["train"]
    assert options["stash"]["source_list"] == ["checkpoint"]
    builder = TrainWorkChain.get_builder_from_protocol(code, "unet", dataset, protocol="fast", options=options)
    inputs: dict[str, Any] = {"code": code, "dataset": dataset, "settings": {"network": "unet"}}
    _, first = run_get_node(TrainCalculation, **inputs, metadata={"options": options})
    assert first.exit_status == 301
    kept = first.outputs.remote_stash
    process = workchain(TrainWorkChain, builder)
    process.setup()
    process.handle_interruption(first)
    assert process.ctx.inputs.checkpoint_folder.uuid == first.outputs.remote_folder.uuid
    first.outputs.remote_folder._clean()
    process.handle_interruption(first)
    assert process.ctx.inputs.checkpoint_folder.uuid == kept.uuid
    # by hand, in a new training
    _, second = run_get_node(TrainCalculation, **inputs, checkpoint_folder=kept)
    assert second.is_finished_ok, second.exit_message
    assert second.inputs.checkpoint_folder.uuid == kept.uuid


def test_a_checkpoint_purged_while_the_job_waited(fake_code: Any, dataset: Any, stash: dict[str, Any]) -> None:
    """The first training is killed; its checkpoint is purged before the second reads it."""
    purged = {"status": "input_missing", "message": "resume: no such file", "purge_linked": "resume_from"}
    code = fake_code(train=[{"kill": True}, purged, {}])
    options = job_options(stash, {"icsg3d": code}, ("train",))["train"]
    builder = TrainWorkChain.get_builder_from_protocol(code, "unet", dataset, protocol="fast", options=options)
    _, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    jobs = sorted((job for job in node.called if isinstance(job, CalcJobNode)), key=lambda job: job.pk)
    assert [job.exit_status for job in jobs] == [301, 210, 0]
    assert jobs[1].inputs.checkpoint_folder.uuid == jobs[0].outputs.remote_folder.uuid
    assert jobs[2].inputs.checkpoint_folder.uuid == jobs[0].outputs.remote_stash.uuid


def test_words_in_a_file(fake_code: Any) -> None:
    codes = {"icsg3d": fake_code()}
    whole = {"stash_mode": "tar", "dereference": False, "target_base": "/kept", "source_list": ["model.safetensors"]}
    found = job_options({"icsg3d": {"stash": {"target_base": "/kept"}}, "train": {"stash": whole}}, codes, ("train",))
    assert found["train"]["stash"] == whole
    with pytest.raises(ValueError, match=r"icsg3d: stash: received .*should be an absolute filepath"):
        job_options({"icsg3d": {"stash": {"target_base": "kept"}}}, codes, ("train",))
