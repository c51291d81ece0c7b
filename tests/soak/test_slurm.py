"""Accidents on a real Slurm: a job is cancelled, scratch is purged while a job waits, a resource is not there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiida.engine import run_get_node
from aiida.orm import CalcJobNode, Computer, InstalledCode

from aiida_icsg3d.workflows.generate import GenerateWorkChain
from tests.fixtures.children import wait_for
from tests.fixtures.slurm import ask, missing, slurm

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the slurm.conf of a cluster that is up."""
    assert not missing(), f"not installed: {', '.join(missing())}; tests/run.sh installs slurm-wlm and munge"
    with slurm(tmp_path_factory.mktemp("slurm")) as conf:
        yield conf


@pytest.fixture
def code(cluster: Path, fake_code: Any, tmp_path: Path) -> Callable[..., InstalledCode]:
    """Return a factory of codes that run the fake program through Slurm."""

    def build(**plans: Any) -> InstalledCode:
        script = fake_code(**plans).filepath_executable
        computer = Computer(
            f"slurm-{tmp_path.name}", "localhost", transport_type="core.local", scheduler_type="icsg3d.slurm",
            workdir=str(tmp_path / "scratch"),
        ).store()  # fmt: skip
        computer.configure(safe_interval=0, use_login_shell=False)
        computer.set_minimum_job_poll_interval(1)
        return InstalledCode(computer=computer, filepath_executable=str(script), label=f"slurm-{tmp_path.name}").store()

    return build


def generate(code: InstalledCode, model: Any, **options: Any) -> tuple[Any, dict[str, list[CalcJobNode]]]:
    """Generate four crystals: (WorkChain node, its jobs by their stage)."""
    builder = GenerateWorkChain.get_builder_from_protocol(
        code, model("vae"), model("unet"), model("prior"), n_samples=4, protocol="fast", options=options
    )
    _, node = run_get_node(builder)
    jobs: dict[str, list[CalcJobNode]] = {}
    for job in sorted(node.called_descendants, key=lambda process: process.pk):
        if isinstance(job, CalcJobNode):
            jobs.setdefault(job.process_class.stage, []).append(job)
    return node, jobs


def meanwhile(accident: Callable[[], None]) -> threading.Thread:
    """Let something happen beside the run."""
    thread = threading.Thread(target=accident, daemon=True)
    thread.start()
    return thread


def job_in(state: str) -> str:
    """Return the number of the job in a state, empty where there is none."""
    return ask("squeue", "-h", "-t", state, "-o", "%i")


def test_scancel(code: Any, model: Any, tmp_path: Path) -> None:
    """The job of the stage sample is cancelled while it runs."""

    def cancel() -> None:
        wait_for((tmp_path / "fake" / "sample.calls").exists, "the program")
        ask("scancel", job_in("RUNNING"))

    thread = meanwhile(cancel)
    node, jobs = generate(code(sample=[{"sleeps": 300}, {}]), model)
    thread.join()
    assert node.is_finished_ok, node.exit_message
    assert {stage: len(found) for stage, found in jobs.items()} == {"sample": 2, "segment": 1, "rebuild": 1}
    assert jobs["sample"][0].exit_status == 301
    assert "CANCELLED" in jobs["sample"][0].get_scheduler_stderr()


def test_purge_while_a_job_waits(code: Any, model: Any, tmp_path: Path) -> None:
    """The partition is down while the job of the stage segment is in the queue, and the fields are purged."""

    def purge() -> None:
        wait_for((tmp_path / "fake" / "sample.calls").exists, "the program")
        ask("scontrol", "update", "partitionname=debug", "state=down")
        wait_for(lambda: bool(job_in("PENDING")), "a waiting job")
        for path in (tmp_path / "scratch").rglob("fields.h5"):
            if not path.is_symlink():
                path.unlink()
        ask("scontrol", "update", "partitionname=debug", "state=up")

    thread = meanwhile(purge)
    node, jobs = generate(code(sample=[{"sleeps": 5}, {}]), model)
    thread.join()
    assert node.is_finished_ok, node.exit_message
    assert {stage: len(found) for stage, found in jobs.items()} == {"sample": 2, "segment": 2, "rebuild": 1}
    assert [job.exit_status for job in jobs["segment"]] == [210, 0]
    assert jobs["rebuild"][0].inputs.fields_folder.creator.pk == jobs["sample"][1].pk


def test_a_generic_resource_that_is_not_there(code: Any, model: Any) -> None:
    node, jobs = generate(code(), model, custom_scheduler_commands="#SBATCH --gres=gpu:1")
    assert node.exit_status == 431
    assert [job.exit_status for job in jobs["sample"]] == [132]
    assert "Slurm refuses the job" in node.exit_message
    assert "gres" in node.exit_message.lower()
