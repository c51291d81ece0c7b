"""What happens to a stage whose job does not end well, with real jobs of a fake program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiida.engine import run_get_node
from aiida.orm import CalcJobNode, InstalledCode, QueryBuilder, StructureData

from aiida_icsg3d.workflows.generate import GenerateWorkChain
from aiida_icsg3d.workflows.screen import ScreenWorkChain

KILLED = {"kill": True}
INTERRUPTED = {"status": "interrupted", "message": "ended by a signal"}


@pytest.fixture
def generate(fake_code: Any, model: Any) -> Any:
    """Return a function that generates four crystals under a plan: (WorkChain node, its jobs by their stage)."""

    def run(
        code: Any = None, retries: int = 2, overrides: Any = None, **plans: Any
    ) -> tuple[Any, dict[str, list[CalcJobNode]]]:
        builder = GenerateWorkChain.get_builder_from_protocol(
            code or fake_code(**plans), model("vae"), model("unet"), model("prior"), n_samples=4, protocol="fast",
            overrides={"max_retries": retries, **(overrides or {})},
        )  # fmt: skip
        _, node = run_get_node(builder)
        return node, jobs_of(node)

    return run


def jobs_of(node: Any) -> dict[str, list[CalcJobNode]]:
    """Return stage -> its jobs below a WorkChain, in the order in which they began."""
    found: dict[str, list[CalcJobNode]] = {}
    for job in sorted(node.called_descendants, key=lambda process: process.pk):
        if isinstance(job, CalcJobNode):
            found.setdefault(job.process_class.stage, []).append(job)
    return found


def counts(jobs: dict[str, list[CalcJobNode]]) -> list[int]:
    """Return how many jobs each stage took."""
    return [len(jobs.get(stage, [])) for stage in ("sample", "segment", "rebuild")]


def test_what_was_cut_off_is_tried_again(generate: Any) -> None:
    node, jobs = generate(sample=[KILLED, INTERRUPTED, {}], rebuild=[KILLED, {}])
    assert node.is_finished_ok, node.exit_message
    assert counts(jobs) == [3, 1, 2]
    crystals = QueryBuilder().append(CalcJobNode, filters={"id": jobs["rebuild"][-1].pk}, tag="job")
    assert crystals.append(StructureData, with_incoming="job").count() == 4
    assert node.outputs.crystals_folder.creator.pk == jobs["rebuild"][-1].pk
    assert "crystals" not in jobs["rebuild"][-1].caller.outputs
    # a kernel that kills for memory says nothing: the second time, less is taken
    assert [job.inputs.settings.get_dict().get("batch_size") for job in jobs["sample"]] == [None, None, 128]


def test_retries_end(generate: Any) -> None:
    node, jobs = generate(sample=KILLED, retries=1)
    assert counts(jobs) == [2, 0, 0]
    assert node.exit_status == 431
    assert "given up after 2 tries" in node.exit_message
    assert "the job was killed or never began" in node.exit_message


def test_less_memory_until_it_fits(generate: Any) -> None:
    node, jobs = generate(segment={"most": 10}, rebuild={"most": 200})
    assert node.is_finished_ok, node.exit_message
    assert [job.inputs.settings.get_dict().get("batch_size") for job in jobs["segment"]] == [None, 16, 8]
    assert [job.inputs.settings.get_dict().get("batch_size") for job in jobs["rebuild"]] == [None, 128]


def test_memory_that_never_suffices(generate: Any) -> None:
    node, jobs = generate(overrides={"segment": {"settings": {"batch_size": 2}}}, segment={"most": 0})
    assert [job.inputs.settings.get_dict().get("batch_size") for job in jobs["segment"]] == [2, 1]
    assert node.exit_status == 432
    assert "memory ran out even with batch size 1" in node.exit_message


def test_a_program_that_is_not_there_ends_at_once(generate: Any, localhost: Any) -> None:
    code = InstalledCode(computer=localhost, filepath_executable="/opt/nowhere/icsg3d", label="lost").store()
    node, jobs = generate(code)
    assert counts(jobs) == [1, 0, 0]
    assert node.exit_status == 431
    assert "/opt/nowhere/icsg3d: No such file or directory; correct the path of the code" in node.exit_message


def test_files_purged_before_they_are_read(generate: Any) -> None:
    """The stage that made them runs again, and what comes after it reads the new ones."""
    node, jobs = generate(sample=[{"purge": ["fields.h5"]}, {}], segment=[{"purge": ["segments.h5"]}, {}])
    assert node.is_finished_ok, node.exit_message
    assert counts(jobs) == [2, 2, 1]
    rebuild = jobs["rebuild"][-1]
    assert rebuild.inputs.fields_folder.creator.pk == jobs["sample"][-1].pk
    assert rebuild.inputs.segments_folder.creator.pk == jobs["segment"][-1].pk
    assert jobs["segment"][-1].inputs.fields_folder.creator.pk == jobs["sample"][-1].pk


def test_files_purged_while_the_job_waited(generate: Any) -> None:
    """Seen only by the job that reads them."""
    gone = {"status": "input_missing", "message": "fields.h5: no such file", "purge_linked": "fields"}
    node, jobs = generate(segment=[gone, {}])
    assert node.is_finished_ok, node.exit_message
    assert counts(jobs) == [2, 2, 1]


def test_files_that_are_always_purged(generate: Any) -> None:
    node, jobs = generate(sample={"purge": ["fields.h5"]}, retries=1)
    assert counts(jobs) == [2, 0, 0]
    assert node.exit_status == 431
    assert "its files were purged 2 times before the stage segment read them" in node.exit_message


def test_screening(fake_code: Any, remote: Any, model: Any, dataset: Any, tmp_path: Path) -> None:
    (tmp_path / "crystals.h5").write_bytes(b"crystals")
    code = fake_code(screen=[KILLED, {"most": 1}, {"most": 1}])
    builder = ScreenWorkChain.get_builder_from_protocol(code, remote(), {"a": model("cgcnn")}, dataset)
    outputs, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    assert [job.inputs.settings.get_dict().get("threads") for job in jobs_of(node)["screen"]] == [None, None, 1]
    assert outputs["selected"].get_dict()["ids"] == ["s000002", "s000001"]
