"""What sbatch says of a job that it refuses: some of it for ever, some of it only now."""

from __future__ import annotations

from typing import Any

import pytest
from aiida.engine import run_get_node
from aiida.orm import Computer, InstalledCode
from aiida.schedulers import SchedulerError

from aiida_icsg3d.schedulers.slurm import SlurmRefusesScheduler
from aiida_icsg3d.workflows.generate import GenerateWorkChain

FAILED = "sbatch: error: Batch job submission failed: "


@pytest.mark.parametrize(
    "said",
    ["Invalid generic resource (gres) specification", "Requested node configuration is not available",
     "Invalid qos specification", "Requested time limit is invalid (missing or exceeds some limit)"],
)  # fmt: skip
def test_never(said: str) -> None:
    code = SlurmRefusesScheduler()._parse_submit_output(1, "", FAILED + said + "\n")
    assert code.status == 132
    assert code.message == f"Slurm refuses the job: {FAILED}{said}"


@pytest.mark.parametrize(
    "said",
    ["Socket timed out on send/recv operation", "Unable to contact slurm controller (connect failure)",
     "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"],
)  # fmt: skip
def test_not_now(said: str) -> None:
    with pytest.raises(SchedulerError):
        SlurmRefusesScheduler()._parse_submit_output(1, "", FAILED + said)


def test_the_rest_is_aiidas() -> None:
    assert SlurmRefusesScheduler()._parse_submit_output(0, "Submitted batch job 17", "") == "17"
    assert SlurmRefusesScheduler()._parse_submit_output(1, "", FAILED + "Invalid account").status == 131


def test_a_run_ends_with_the_words_of_slurm(
    model: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, aiida_profile_clean: Any
) -> None:
    """Before, it was paused after five minutes of tries. This sbatch refuses as the real one does."""
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.parent.mkdir()
    sbatch.write_text(f"#!/bin/sh\necho '{FAILED}Invalid generic resource (gres) specification' >&2\nexit 1\n")
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", str(sbatch.parent), prepend=":")
    computer = Computer("here", "localhost", transport_type="core.local", scheduler_type="icsg3d.slurm",
                        workdir=str(tmp_path / "work")).store()  # fmt: skip
    computer.configure(safe_interval=0, use_login_shell=False)
    code = InstalledCode(computer=computer, filepath_executable="/bin/true", label="icsg3d").store()
    builder = GenerateWorkChain.get_builder_from_protocol(
        code, model("vae"), model("unet"), model("prior"), n_samples=4, protocol="fast"
    )
    _, node = run_get_node(builder)
    assert node.exit_status == 431
    assert "132: Slurm refuses the job: sbatch: error: Batch job" in node.exit_message
    assert "Invalid generic resource (gres) specification; correct what the job asks for" in node.exit_message
