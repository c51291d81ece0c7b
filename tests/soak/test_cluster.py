"""A cluster as people have it: Slurm behind ssh, reached by the daemon, set up by one file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fixtures import sshd
from tests.fixtures.slurm import missing, slurm
from tests.soak.profiles import Profile

pytestmark = pytest.mark.soak


@pytest.fixture
def home(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a home from which the host `cluster` can be reached, and its Slurm used."""
    lacking = [*missing(), *sshd.missing()]
    assert not lacking, f"not installed: {', '.join(lacking)}; tests/run.sh installs slurm-wlm, munge, openssh-server"
    with (
        slurm(tmp_path_factory.mktemp("slurm")) as conf,
        sshd.sshd(tmp_path / "sshd", {"SLURM_CONF": str(conf)}) as found,
    ):
        yield found


def test_one_job_through_ssh_and_the_daemon(home: Path, fake_code: Any, tmp_path: Path) -> None:
    """64 samples with the intervals that `setup` writes; what AiiDA adds to the time of the program is printed."""
    code = fake_code(rebuild={"count": 64}, screen={"count": 64})
    file = tmp_path / "cluster.yaml"
    file.write_text(yaml.safe_dump({
        "label": "cluster", "host": sshd.HOST, "scheduler": "slurm", "workdir": str(tmp_path / "scratch"),
        "icsg3d": {"path": str(code.filepath_executable), "partition": "debug", "walltime": 600},
    }))  # fmt: skip
    profile = Profile(tmp_path / "profile", {"HOME": str(home)})
    profile.set_up("core.sqlite_dos", broker="core.zeromq")
    profile.run("aiida-icsg3d", "setup", file)
    with profile.daemon():
        found = profile.submit({
            "code": "icsg3d@cluster", "models": str(tmp_path / "models"), "n_samples": 64, "one_job": True,
            "options": {"max_wallclock_seconds": 600, "queue_name": "debug"},
        })  # fmt: skip
    print(json.dumps(found))
    assert (found["exit_status"], found["exit_message"]) == (0, None)
    assert found["jobs"] == ["ChainCalculation"]
    assert found["transports"] == ["core.ssh_async"]
    assert found["schedulers"] == ["icsg3d.slurm"]
    assert found["crystals"] == 64
