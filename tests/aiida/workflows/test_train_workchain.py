"""Restarts of a training: every handler by direct call, and one run that is restarted for real."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiida.common.links import LinkType
from aiida.engine import ExitCode, run_get_node
from aiida.orm import ArrayData, CalcJobNode, FolderData, RemoteData

from aiida_icsg3d.calculations.train import TrainCalculation
from aiida_icsg3d.monitors import DIVERGED, STALLED
from aiida_icsg3d.workflows.protocols import load_protocol
from aiida_icsg3d.workflows.train import TrainWorkChain

EXIT = TrainCalculation.exit_codes


@pytest.fixture
def process(workchain: Any, fake_code: Any, dataset: Any) -> Any:
    """Return a TrainWorkChain after its setup."""
    settings = {"network": "cgcnn", "seed": 5, "optimiser": {"batch_size": 8, "learning_rate": 1e-3}}
    built = workchain(TrainWorkChain, {"train": {"code": fake_code(), "dataset": dataset, "settings": settings}})
    built.setup()
    return built


@pytest.fixture
def failed(localhost: Any, tmp_path: Path) -> Any:
    """Return a factory of training jobs that ended with an exit code."""

    def build(exit_code: ExitCode, checkpoint: bool = True, epoch: int | None = None, name: str = "run") -> CalcJobNode:
        folder = tmp_path / name
        (folder / "checkpoint").mkdir(parents=True)
        if checkpoint:
            (folder / "checkpoint" / "last.pt").write_bytes(b"state")
        node = CalcJobNode(computer=localhost, process_type="aiida.calculations:icsg3d.train")
        node.set_exit_status(exit_code.status)
        node.set_exit_message(exit_code.message)
        node.set_process_state("finished")
        node.store()
        outputs: dict[str, Any] = {"remote_folder": RemoteData(computer=localhost, remote_path=str(folder))}
        if epoch is not None:
            outputs["metrics"] = ArrayData()
            outputs["metrics"].set_array("epoch", np.arange(1.0, epoch + 1))
        for label, output in outputs.items():
            output.base.links.add_incoming(node, link_type=LinkType.CREATE, link_label=label)
            output.store()
        return node

    return build


def settings_of(process: Any) -> dict[str, Any]:
    """Return the settings of the next run."""
    return process.ctx.inputs.settings.get_dict()


def test_walltime(process: Any, failed: Any) -> None:
    node = failed(EXIT.ERROR_WALLTIME, epoch=3)
    report = process.handle_walltime(node)
    assert (report.do_break, report.exit_code.status) == (True, 0)
    assert process.ctx.inputs.checkpoint_folder.uuid == node.outputs.remote_folder.uuid
    assert process.handle_walltime(failed(EXIT.ERROR_WALLTIME, epoch=5, name="b")).exit_code.status == 0
    report = process.handle_walltime(failed(EXIT.ERROR_WALLTIME, epoch=5, name="c"))
    assert report.exit_code == process.exit_codes.ERROR_NO_PROGRESS


@pytest.mark.parametrize("exit_code", [EXIT.ERROR_OUT_OF_MEMORY, EXIT.ERROR_SCHEDULER_OUT_OF_MEMORY])
def test_out_of_memory(process: Any, failed: Any, exit_code: ExitCode) -> None:
    sizes = []
    process.ctx.inputs.checkpoint_folder = failed(EXIT.ERROR_WALLTIME, name="before").outputs.remote_folder
    for index in range(4):
        report = process.handle_out_of_memory(failed(exit_code, name=f"run{index}"))
        sizes.append(settings_of(process)["optimiser"]["batch_size"])
    assert sizes == [4, 2, 1, 1]
    assert "checkpoint_folder" not in process.ctx.inputs
    assert report.exit_code.status == 412
    assert "batch size 1" in report.exit_code.message


def test_divergence(process: Any, failed: Any) -> None:
    first = failed(EXIT.ERROR_LOSS_NOT_FINITE, name="a")
    assert process.handle_divergence(first).exit_code.status == 0
    assert settings_of(process)["optimiser"]["learning_rate"] == pytest.approx(3e-4)
    assert settings_of(process)["seed"] == 6
    assert process.ctx.inputs.checkpoint_folder.uuid == first.outputs.remote_folder.uuid
    assert process.handle_divergence(failed(EXIT.ERROR_LOSS_NOT_FINITE, name="b")).exit_code.status == 0
    assert settings_of(process)["optimiser"]["learning_rate"] == pytest.approx(9e-5)
    assert "checkpoint_folder" not in process.ctx.inputs
    report = process.handle_divergence(failed(EXIT.ERROR_LOSS_NOT_FINITE, name="c"))
    assert report.exit_code.status == 410
    assert "diverged 3 times" in report.exit_code.message


def test_monitor_tells_divergence_from_stall(process: Any, failed: Any) -> None:
    stopped = EXIT.STOPPED_BY_MONITOR
    stall = failed(stopped.format(message=f"{STALLED}: no progress"), name="a")
    assert process.handle_divergence(stall) is None
    assert process.handle_interruption(stall).exit_code.status == 0
    assert settings_of(process)["optimiser"]["learning_rate"] == 1e-3
    diverged = failed(stopped.format(message=f"{DIVERGED}: loss is nan"), name="b")
    assert process.handle_divergence(diverged).do_break
    assert settings_of(process)["optimiser"]["learning_rate"] == pytest.approx(3e-4)


@pytest.mark.parametrize(
    "exit_code",
    [EXIT.ERROR_INTERRUPTED, EXIT.ERROR_RESULTS_MISSING, EXIT.ERROR_SCHEDULER_NODE_FAILURE,
     EXIT.ERROR_SCHEDULER_OUT_OF_WALLTIME],
)  # fmt: skip
def test_interruption(process: Any, failed: Any, exit_code: ExitCode) -> None:
    node = failed(exit_code)
    assert process.handle_interruption(node).exit_code.status == 0
    assert process.ctx.inputs.checkpoint_folder.uuid == node.outputs.remote_folder.uuid


def test_interruption_before_the_first_checkpoint(process: Any, failed: Any) -> None:
    process.handle_interruption(failed(EXIT.ERROR_INTERRUPTED, checkpoint=False, name="a"))
    assert "checkpoint_folder" not in process.ctx.inputs
    before = failed(EXIT.ERROR_WALLTIME, name="b", epoch=1)
    process.handle_walltime(before)
    process.handle_interruption(failed(EXIT.ERROR_INTERRUPTED, checkpoint=False, name="c"))
    assert process.ctx.inputs.checkpoint_folder.uuid == before.outputs.remote_folder.uuid


@pytest.mark.parametrize("exit_code", [EXIT.ERROR_SETTINGS_REJECTED, EXIT.ERROR_INPUT_UNREADABLE, EXIT.ERROR_DISK_FULL])
def test_what_a_restart_does_not_mend(process: Any, failed: Any, exit_code: ExitCode) -> None:
    process.ctx.children, process.ctx.iteration = [failed(exit_code)], 1
    process.exposed_outputs = lambda *_: {}
    ended = process.inspect_process()
    assert ended.status == 437
    assert f"ended with exit status {exit_code.status}: " in ended.message


def test_a_program_that_is_not_there_is_not_begun_ten_times(process: Any, failed: Any, tmp_path: Path) -> None:
    """Its reason stood only in a file that no command showed."""
    node = failed(EXIT.ERROR_RESULTS_MISSING)
    retrieved = FolderData()
    said = "Traceback (most recent call last):\nModuleNotFoundError: No module named 'torch'\n"
    retrieved.base.repository.put_object_from_filelike(io.BytesIO(said.encode()), "icsg3d.err")
    retrieved.base.links.add_incoming(node, link_type=LinkType.CREATE, link_label="retrieved")
    retrieved.store()
    process.ctx.children, process.ctx.iteration = [node], 1
    process.exposed_outputs = lambda *_: {}
    ended = process.inspect_process()
    assert ended.status == 437
    assert "No module named 'torch'; install `aiida-icsg3d[models]`" in ended.message


def test_a_purged_checkpoint(process: Any, failed: Any, localhost: Any, tmp_path: Path) -> None:
    """The training begins again; before, it ended."""
    gone = RemoteData(computer=localhost, remote_path=str(tmp_path / "purged")).store()
    process.ctx.inputs.checkpoint_folder = gone
    node = CalcJobNode(computer=localhost, process_type="aiida.calculations:icsg3d.train")
    node.base.links.add_incoming(gone, LinkType.INPUT_CALC, "checkpoint_folder")
    node.set_exit_status(EXIT.ERROR_INPUT_MISSING.status)
    node.set_process_state("finished")
    assert process.handle_what_it_left(node.store()).exit_code.status == 0
    assert "checkpoint_folder" not in process.ctx.inputs


def test_restarted_for_real(fake_code: Any, dataset: Any) -> None:
    """The first run runs out of time, the second goes on from its checkpoint and completes."""
    code = fake_code(train=[{"status": "walltime", "message": "late", "epochs": 2}, {"epochs": 4}])
    builder = TrainWorkChain.get_builder_from_protocol(code, "cgcnn", dataset, seed=2, protocol="fast")
    builder.train.metadata.options.max_wallclock_seconds = 600
    outputs, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    first, second = node.called
    assert (first.exit_status, second.exit_status) == (400, 0)
    assert second.inputs.checkpoint_folder.uuid == first.outputs.remote_folder.uuid
    assert first.outputs.model.network == "cgcnn"
    assert outputs["metrics"].get_array("epoch")[-1] == 4
    assert outputs["model"].card["seed"] == 2


def test_the_last_model_is_attached_to_a_failure(fake_code: Any, dataset: Any) -> None:
    code = fake_code(train=[{"status": "disk_full", "message": "no space"}])
    builder = TrainWorkChain.get_builder_from_protocol(code, "cgcnn", dataset)
    builder.train.pop("monitors")
    outputs, node = run_get_node(builder)
    assert node.exit_status == 437
    assert outputs["model"].network == "cgcnn"
    assert outputs["results"].get_dict()["message"] == "no space"


def test_builder_refuses(fake_code: Any, dataset: Any) -> None:
    build = TrainWorkChain.get_builder_from_protocol
    with pytest.raises(ValueError, match="network 'gan' is not known"):
        build(fake_code(), "gan", dataset)
    with pytest.raises(ValueError, match="max_epoch"):
        build(fake_code(), "cgcnn", dataset, overrides={"cgcnn": {"settings": {"optimiser": {"max_epoch": 3}}}})
    with pytest.raises(ValueError, match="no such key"):
        build(fake_code(), "cgcnn", dataset, overrides={"cgcn": {}})
    assert build(fake_code(), "voxelnet", dataset, targets=["x"]).train.settings["network"] == "voxelnet"
    optimiser = load_protocol("train", "balanced")["cgcnn"]["settings"]["optimiser"]
    assert build(fake_code(), "cgcnn", dataset, targets=["x"]).train.settings.get_dict() == {
        "network": "cgcnn",
        "seed": 0,
        "optimiser": optimiser,
        "targets": ["x"],
    }


def test_fine_tuning_is_restarted_from_the_same_model(fake_code: Any, dataset: Any, model: Any) -> None:
    """Out of memory, it begins again, and not from nothing; cut off, it has the checkpoint as well."""
    plans = [{"status": "out_of_memory", "message": "full"}, {"status": "walltime", "message": "late", "epochs": 2}, {}]
    initial = model("cgcnn")
    builder = TrainWorkChain.get_builder_from_protocol(
        fake_code(train=plans), "cgcnn", dataset, initial=initial, protocol="fast"
    )
    builder.train.metadata.options.max_wallclock_seconds = 600
    _, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    assert [called.exit_status for called in node.called] == [EXIT.ERROR_OUT_OF_MEMORY.status, 400, 0]
    assert {called.inputs.initial.uuid for called in node.called} == {initial.uuid}
    assert "checkpoint_folder" in node.called[-1].inputs


def test_fine_tuning_takes_fewer_steps_at_a_lower_rate(fake_code: Any, dataset: Any, model: Any) -> None:
    """What is asked for stands."""
    common: dict[str, Any] = {"code": fake_code(), "network": "cgcnn", "dataset": dataset, "protocol": "fast"}
    first = TrainWorkChain.get_builder_from_protocol(**common).train.settings.get_dict()["optimiser"]
    builder = TrainWorkChain.get_builder_from_protocol(**common, initial=model("cgcnn"))
    assert builder.train.initial.network == "cgcnn"
    tuned = builder.train.settings.get_dict()["optimiser"]
    assert tuned["learning_rate"] == pytest.approx(0.3 * first["learning_rate"])
    assert tuned["min_steps"] == tuned["max_steps"] == 0.25 * first["min_steps"]
    own = TrainWorkChain.get_builder_from_protocol(
        **common | {"protocol": "balanced"}, initial=model("cgcnn"),
        overrides={"cgcnn": {"settings": {"optimiser": {"max_epochs": 2, "learning_rate": 1e-5}}}},
    ).train.settings.get_dict()["optimiser"]  # fmt: skip
    assert (own["max_epochs"], own["learning_rate"], own.get("min_steps"), own.get("max_steps")) == (
        2,
        1e-5,
        None,
        None,
    )
