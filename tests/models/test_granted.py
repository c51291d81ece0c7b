"""Threads: what the scheduler grants, not what the machine has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from icsg3d_models.granted import granted_threads, of_quota, of_scheduler


@pytest.mark.parametrize(
    ("environment", "cores"),
    [
        ({}, None),
        ({"SLURM_CPUS_PER_TASK": "4", "SLURM_CPUS_ON_NODE": "64"}, 4),
        ({"SLURM_CPUS_ON_NODE": "1", "SLURM_TASKS_PER_NODE": "1"}, 1),
        ({"SLURM_CPUS_ON_NODE": "8", "SLURM_NTASKS_PER_NODE": "2"}, 4),
        ({"SLURM_CPUS_ON_NODE": "8", "SLURM_TASKS_PER_NODE": "4(x2)"}, 2),
        ({"SLURM_CPUS_ON_NODE": "8", "SLURM_TASKS_PER_NODE": "16"}, 1),
        ({"NCPUS": "6"}, 6),
        ({"NSLOTS": "3"}, 3),
        ({"LSB_DJOB_NUMPROC": "0"}, None),
        ({"NSLOTS": "undefined"}, None),
    ],
)
def test_what_a_scheduler_grants(environment: dict[str, str], cores: int | None) -> None:
    assert of_scheduler(environment) == cores


@pytest.mark.parametrize(
    ("content", "cores"), [("max 100000\n", None), ("200000 100000\n", 2), ("50000 100000", 1), ("", None)]
)
def test_the_quota_of_a_container(tmp_path: Path, content: str, cores: int | None) -> None:
    (tmp_path / "cpu.max").write_text(content)
    assert of_quota(tmp_path / "cpu.max") == cores
    assert of_quota(tmp_path / "none") is None


def test_the_least_counts_and_the_user_above_all(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("100000 100000")
    assert granted_threads({}, tmp_path / "none") == len(os.sched_getaffinity(0))
    assert granted_threads({"SLURM_CPUS_PER_TASK": "64"}, tmp_path / "cpu.max") == 1
    assert granted_threads({"SLURM_CPUS_PER_TASK": "1", "OMP_NUM_THREADS": "2"}) is None


@pytest.mark.parametrize(("threads", "wanted"), [("None", 1), ("2", 2)])
def test_torch_takes_one_thread_where_slurm_gives_one_core(threads: str, wanted: int) -> None:
    code = (
        "from pathlib import Path; import torch\n"
        "from icsg3d_models.devices import select_device; from icsg3d_models.results import Report\n"
        "from icsg3d_models.settings import SegmentSettings\n"
        "report = Report('segment', Path('.')); torch.set_num_threads(2)\n"
        f"select_device(SegmentSettings(device='cpu', threads={threads}), report)\n"
        "print(torch.get_num_threads(), report.device)"
    )
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    environment |= {"SLURM_CPUS_ON_NODE": "1", "SLURM_TASKS_PER_NODE": "1"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split() == [str(wanted), "cpu", f"x{wanted}"]
