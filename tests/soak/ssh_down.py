"""A cluster that cannot be reached for minutes while a job of it runs: a quarter of an hour, so not among the tests.

    pytest -s tests/soak/ssh_down.py

The server is ended with its connections once the job is in the queue of Slurm, and comes back on the same port after
:data:`MINUTES`. The run has to end well by itself. How the last one went stands in docs/faults.md.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fixtures import sshd
from tests.fixtures.children import wait_for
from tests.fixtures.slurm import slurm
from tests.soak.profiles import Profile

pytestmark = pytest.mark.soak
MINUTES = 7


def test_minutes_without_ssh(fake_code: Any, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    code = fake_code(sample={"sleeps": 60}, rebuild={"count": 64}, screen={"count": 64})
    with slurm(tmp_path_factory.mktemp("slurm")) as conf:
        home, port = sshd.prepare(tmp_path / "sshd", {"SLURM_CONF": str(conf)})
        file = tmp_path / "cluster.yaml"
        file.write_text(yaml.safe_dump({
            "label": "cluster", "host": sshd.HOST, "scheduler": "slurm", "workdir": str(tmp_path / "scratch"),
            "icsg3d": {"path": str(code.filepath_executable), "partition": "debug", "walltime": 600},
        }))  # fmt: skip
        profile = Profile(tmp_path / "profile", {"HOME": str(home)})
        profile.set_up("core.sqlite_dos", broker="core.zeromq")
        profile.run("aiida-icsg3d", "setup", file)
        request = {
            "code": "icsg3d@cluster", "models": str(tmp_path / "models"), "n_samples": 64, "one_job": True,
            "options": {"max_wallclock_seconds": 600, "queue_name": "debug"}, "patience": 60 * MINUTES + 1500,
        }  # fmt: skip

        def queued() -> bool:
            asked = subprocess.run(["squeue", "-h"], env={**os.environ, "SLURM_CONF": str(conf)}, capture_output=True)
            return bool(asked.stdout.strip())

        with profile.daemon(), ThreadPoolExecutor(1) as apart:
            with sshd.serving(tmp_path / "sshd", port):
                ending = apart.submit(profile.submit, request)
                wait_for(queued, "a job in the queue")
            print(f"ssh is down for {MINUTES} min", flush=True)
            time.sleep(60 * MINUTES)
            with sshd.serving(tmp_path / "sshd", port):
                back = time.monotonic()
                found = ending.result()
                found["after_its_return"] = time.monotonic() - back
    print(json.dumps(found))
    assert (found["exit_status"], found["exit_message"]) == (0, None)
    assert found["jobs"] == ["ChainCalculation"]  # and not a second one
    assert found["crystals"] == 64
