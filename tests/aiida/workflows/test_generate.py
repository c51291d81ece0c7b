"""Generation and screening: builders, and every way a stage can end, by direct call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiida.common.links import LinkType
from aiida.orm import CalcJobNode, Dict, RemoteData, StructureData, WorkChainNode

from aiida_icsg3d.workflows.generate import GenerateWorkChain
from aiida_icsg3d.workflows.screen import ScreenWorkChain


@pytest.fixture
def stage(localhost: Any, tmp_path: Path) -> Any:
    """Return a factory of stored stages that have ended, each with its job."""
    for name in ("fields.h5", "segments.h5"):
        (tmp_path / name).write_bytes(b"made up")

    def build(name: str, exit_status: int = 0, message: str = "", **results: Any) -> WorkChainNode:
        node = WorkChainNode(process_type=f"aiida.workflows:icsg3d.stage.{name}")
        job = CalcJobNode(computer=localhost, process_type=f"aiida.calculations:icsg3d.{name}")
        for process in (node, job):
            process.set_exit_status(exit_status)
            process.set_exit_message(message)
            process.set_process_state("finished")
            if process is job:
                job.base.links.add_incoming(node, link_type=LinkType.CALL_CALC, link_label="iteration_01")
            process.store()
        outputs = {"results": Dict(results), "remote_folder": RemoteData(computer=localhost, remote_path=str(tmp_path))}
        for label, output in outputs.items():
            output.base.links.add_incoming(job, link_type=LinkType.CREATE, link_label=label)
            output.store()
            output.base.links.add_incoming(node, link_type=LinkType.RETURN, link_label=label)
        return node

    return build


@pytest.fixture
def process(workchain: Any, fake_code: Any, model: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a GenerateWorkChain that has begun; submitted stages are collected in ``submitted``."""
    builder = GenerateWorkChain.get_builder_from_protocol(
        fake_code(), model("vae"), model("unet"), model("prior"), n_samples=9, protocol="fast"
    )
    built = workchain(GenerateWorkChain, builder)
    built.attached, built.submitted = {}, []
    built.out = built.attached.__setitem__

    def submit(_: Any, job: Any, **others: Any) -> WorkChainNode:
        built.submitted.append((others["metadata"]["call_link_label"], job))
        return WorkChainNode().store()

    monkeypatch.setattr(built, "submit", submit)
    built.setup()
    return built


def begin(process: Any, **nodes: Any) -> None:
    """Let stages have ended as these nodes, one after another."""
    for name, node in nodes.items():
        assert process.run_stage() is not None
        process.ctx[name] = node
        process.inspect_stage()


def test_fields_are_handed_on(process: Any, stage: Any) -> None:
    begin(process, sample=stage("sample", counts={"samples": 9}), segment=stage("segment"), rebuild=stage("rebuild"))
    assert not process.should_run_stage()
    jobs = dict(process.submitted)
    assert list(jobs) == ["sample", "segment", "rebuild"]
    fields = process.ctx.sample.outputs.remote_folder.uuid
    assert jobs["segment"].fields_folder.uuid == fields
    assert jobs["rebuild"].fields_folder.uuid == fields
    assert jobs["rebuild"].segments_folder.uuid == process.ctx.segment.outputs.remote_folder.uuid
    assert not any(job.metadata.get("disable_cache") for job in jobs.values())
    process.attach_results()
    assert process.attached["sample_results"].get_dict()["counts"] == {"samples": 9}


@pytest.mark.parametrize(("name", "status"), [("sample", 431), ("segment", 432), ("rebuild", 433)])
def test_a_stage_fails(process: Any, stage: Any, name: str, status: int) -> None:
    before = ("sample", "segment", "rebuild")[: ("sample", "segment", "rebuild").index(name)]
    begin(process, **{earlier: stage(earlier) for earlier in before})
    process.run_stage()
    process.ctx[name] = node = stage(name, 437, "job<7>, ended with exit status 331: memory ran out")
    exit_code = process.inspect_stage()
    assert exit_code.status == status
    assert f"the stage {name}, job<{node.pk}>, ended with exit status 437: job<7>, ended" in exit_code.message
    assert len(process.submitted) == len(before) + 1


def test_a_stage_whose_files_are_gone_runs_again_without_the_cache(process: Any, stage: Any, tmp_path: Path) -> None:
    begin(process, sample=stage("sample"), segment=stage("segment"))
    (tmp_path / "fields.h5").unlink()
    process.run_stage()
    label, job = process.submitted[-1]
    assert label == "sample_2"
    assert job.metadata.disable_cache
    (tmp_path / "fields.h5").write_bytes(b"new")
    process.ctx.sample = stage("sample")
    assert process.inspect_stage() is None
    begin(process, segment=stage("segment"), rebuild=stage("rebuild"))
    assert [label for label, _ in process.submitted[3:]] == ["segment_2", "rebuild_2"]
    assert not process.should_run_stage()


def test_a_cleaned_folder_is_gone_too(process: Any, stage: Any) -> None:
    """As `clean_workdir` leaves it: before, an exception."""
    begin(process, sample=stage("sample"))
    process.ctx.sample.outputs.remote_folder.base.extras.set(RemoteData.KEY_EXTRA_CLEANED, True)
    process.run_stage()
    assert [label for label, _ in process.submitted] == ["sample", "sample_2"]


def test_nothing_rebuilt(process: Any, stage: Any) -> None:
    begin(process, sample=stage("sample"), segment=stage("segment"))
    process.run_stage()
    process.ctx.rebuild = stage("rebuild", 420, "too few peaks", counts={"samples": 9, "rebuilt": 0})
    exit_code = process.inspect_stage()
    assert exit_code.status == 420
    assert exit_code.message == "none of the 9 samples could be rebuilt: too few peaks"
    assert process.attached["results"].get_dict()["counts"]["rebuilt"] == 0


def test_builder(fake_code: Any, model: Any) -> None:
    base = StructureData(cell=[[4, 0, 0], [0, 4, 0], [0, 0, 4]])
    base.append_atom(symbols="Po", position=(0, 0, 0))
    builder = GenerateWorkChain.get_builder_from_protocol(
        fake_code(), model("vae"), model("unet"), base={"po": base}, elements=["O", "Ti"], seed=4
    )
    assert builder.sample.settings.get_dict() == {
        "seed": 4, "mode": "base", "n_samples": 1000, "elements": ["O", "Ti"],
    }  # fmt: skip
    assert builder.segment.settings.get_dict() == {"seed": 4, "elements": ["O", "Ti"]}
    assert builder.rebuild.settings.get_dict() == {"seed": 4}
    models = (model("vae"), model("unet"), model("prior", elements=[8, 22], targets=["gap"]))
    aimed = GenerateWorkChain.get_builder_from_protocol(fake_code(), *models, targets={"gap": 1.5})
    assert aimed.sample.settings["targets"] == {"gap": 1.5}
    with pytest.raises(ValueError, match="target gap: can be asked for in mode 'prior', not in mode 'base'"):
        GenerateWorkChain.get_builder_from_protocol(fake_code(), *models, base={"po": base}, targets={"gap": 1.5})


def test_what_is_asked_for_reaches_the_sampling_and_the_segmentation(fake_code: Any, model: Any) -> None:
    models = (model("vae", spacing=0.4), model("unet", spacing=0.4), model("prior", elements=[8, 22, 82], spacing=0.4))
    asked = {"composition": "Pb2Ti2O6", "crystal_system": "tetragonal", "n_atoms": None}
    builder = GenerateWorkChain.get_builder_from_protocol(fake_code(), *models, asked=asked)
    settings = builder.sample.settings.get_dict()
    assert settings["composition"] == "Pb2Ti2O6"
    assert settings["crystal_system"] == "tetragonal"
    assert "n_atoms" not in settings
    assert builder.segment.settings["elements"] == ["O", "Pb", "Ti"]
    # the rebuilding keeps it, in a cell of as many atoms, unless it is told not to
    assert builder.rebuild.settings.get_dict() == {"seed": 0, "composition": "Pb2Ti2O6"}
    again = GenerateWorkChain.get_builder_from_protocol(fake_code(), *models, asked={**asked, "n_atoms": 20})
    assert again.rebuild.settings["n_atoms"] == 20
    free = {"rebuild": {"settings": {"composition": None}}}
    other = GenerateWorkChain.get_builder_from_protocol(fake_code(), *models, asked=asked, overrides=free)
    assert other.rebuild.settings["composition"] is None
    with pytest.raises(ValueError, match="one capital letter an element"):
        GenerateWorkChain.get_builder_from_protocol(fake_code(), *models, asked={"anonymous_formula": "AAB"})


def test_screen_ends(workchain: Any, fake_code: Any, model: Any, dataset: Any, remote: Any, stage: Any) -> None:
    builder = ScreenWorkChain.get_builder_from_protocol(fake_code(), remote(), {"a": model("cgcnn")}, dataset, top=7)
    assert builder.screen.settings.get_dict() == {"seed": 0, "top": 7}
    process = workchain(ScreenWorkChain, builder)
    attached: dict[str, Any] = {}
    process.out = attached.__setitem__
    process.ctx.screen = stage("screen", 421, "all known")
    assert process.results().status == 421
    assert "results" in attached
    process.ctx.screen = node = stage("screen", 437, "KeyError")
    exit_code = process.results()
    assert (exit_code.status, f"<{node.pk}>" in exit_code.message) == (434, True)
    process.ctx.screen = stage("screen")
    assert process.results() is None
