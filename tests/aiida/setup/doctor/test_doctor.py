"""What the doctor finds, on a real local transport with programs that are right, old, broken or not there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiida import orm

from aiida_icsg3d import __version__
from aiida_icsg3d.setup.codes import JOB_DEFAULTS
from aiida_icsg3d.setup.doctor import Finding, examine
from aiida_icsg3d.setup.doctor.profile import disk_finding
from tests.aiida.pseudo_families import make_family

pytestmark = pytest.mark.usefixtures("aiida_profile_clean")
HEALTHY = {"version": __version__, "versions": {"torch": "2.13.0"}, "missing": [], "device": "cpu", "gpus": [],
           "cores": 2}  # fmt: skip


@pytest.fixture
def computer(localhost: orm.Computer, tmp_path: Path) -> Iterator[orm.Computer]:
    """Return a local computer with a folder of its own."""
    before = localhost.get_workdir()
    localhost.set_workdir(str(tmp_path / "work"))
    yield localhost
    localhost.set_workdir(before)


@pytest.fixture
def program(computer: orm.Computer, tmp_path: Path) -> Callable[..., Any]:
    """Return a factory of codes that print what a test wants."""

    def build(label: str, plugin: str | None, version: str = "", probe: object = None, exit_status: int = 0) -> Any:
        path = tmp_path / label
        told = json.dumps(probe) if not isinstance(probe, str) else probe
        path.write_text(
            f"#!/bin/sh\n[ \"$1\" = --probe ] && {{ echo '{told}'; exit {exit_status}; }}\n"
            f"echo '{version}'\nexit {exit_status}\n"
        )
        path.chmod(0o755)
        return orm.InstalledCode(computer=computer, filepath_executable=str(path), label=label,
                                 default_calc_job_plugin=plugin).store()  # fmt: skip

    return build


def found(what: str) -> list[Finding]:
    """Return the findings about something."""
    return [finding for finding in examine() if finding.what.startswith(what)]


def test_everything_is_there(program: Callable[..., Any], tmp_path: Path) -> None:
    program("icsg3d", None, f"icsg3d {__version__}", HEALTHY)
    program("pw.x", "quantumespresso.pw", "     Program PWSCF v.7.2 starts")
    make_family(tmp_path, "SSSP/1.3/PBE/efficiency")
    findings = list(examine())
    assert [finding for finding in findings if finding.level == "wrong"] == []
    words = {finding.what: finding.words for finding in findings}
    assert words["code icsg3d@localhost"] == f"icsg3d {__version__}, torch 2.13.0, cpu, 2 cores"
    assert words["code pw.x@localhost"] == "pw.x v.7.2"
    assert "jobs run in" in words["computer localhost"]
    assert "core.direct answers" in words["queue of localhost"]
    assert words["pseudopotentials"].startswith("SSSP/1.3/PBE/efficiency")


def test_nothing_is_set_up() -> None:
    (icsg3d,) = found("code of icsg3d")
    assert (icsg3d.level, icsg3d.words) == ("wrong", "none")
    assert "aiida-icsg3d setup" in icsg3d.todo
    assert found("code of pw.x")[0].level == "note"  # a run without DFT goes without it


@pytest.mark.parametrize(
    ("version", "probe", "exit_status", "message"),
    [
        ("icsg3d: cannot open shared object", None, 127, "does not run: icsg3d: cannot open shared object"),
        ("icsg3d 0.0.1", HEALTHY, 0, f"version 0.0.1 there, {__version__} here"),
        (f"icsg3d {__version__}", {**HEALTHY, "device": None, "missing": ["torch"], "problem": "No module named torch"},
         0, "without torch (No module named"),
        (f"icsg3d {__version__}", {**HEALTHY, "missing": ["smact"]}, 0, "without smact"),
        (f"icsg3d {__version__}", "error: no such option", 0, "`icsg3d --probe` fails: error: no such option"),
    ],
)  # fmt: skip
def test_icsg3d_that_does_not_do(
    program: Callable[..., Any], version: str, probe: object, exit_status: int, message: str
) -> None:
    text = json.dumps(probe).replace("'", "") if not isinstance(probe, str) else probe
    program("icsg3d", None, version, text, exit_status)
    (finding,) = found("code icsg3d@")
    assert finding.level == "wrong"
    assert message.replace("'", "") in finding.words
    assert finding.todo


def test_a_path_that_is_not_there(program: Callable[..., Any], tmp_path: Path) -> None:
    """A training restarted ten times before; its reason stood in a file that no command showed."""
    program("icsg3d", None)
    program("pw.x", "quantumespresso.pw")
    (tmp_path / "icsg3d").unlink()
    (tmp_path / "pw.x").unlink()
    (icsg3d,), (pw,) = found("code icsg3d@"), found("code pw.x@")
    assert icsg3d.level == pw.level == "wrong"
    assert "No such file" in icsg3d.words
    assert "is not there, or not executable" in pw.words


def test_jobs_ask_for_a_gpu_that_the_login_has_not(program: Callable[..., Any]) -> None:
    code = program("icsg3d", None, f"icsg3d {__version__}", HEALTHY)
    code.base.extras.set(JOB_DEFAULTS, {"custom_scheduler_commands": "#SBATCH --gres=gpu:1"})
    (finding,) = found("code icsg3d@")
    assert finding.level == "note"
    assert "the jobs ask the queue for one" in finding.words


def test_a_folder_that_cannot_be_written(program: Callable[..., Any], computer: orm.Computer) -> None:
    program("icsg3d", None, f"icsg3d {__version__}", HEALTHY)
    computer.set_workdir("/proc/nowhere")
    (finding,) = found("computer localhost")
    assert finding.level == "wrong"
    assert "cannot write to /proc/nowhere" in finding.words


def test_a_computer_behind_ssh_without_daemon() -> None:
    far = orm.Computer(
        "far", "far.example", transport_type="core.ssh_async", scheduler_type="core.slurm", workdir="/scratch"
    ).store()
    orm.InstalledCode(computer=far, filepath_executable="/opt/icsg3d", label="icsg3d").store()
    (finding,) = found("computer far")
    assert "not configured" in finding.words
    assert finding.todo == "verdi computer configure core.ssh_async far"
    far.configure(host="far.example")
    (finding,) = found("computer far")
    assert finding.level == "wrong"
    assert "through the broker" in finding.words
    (broker,) = found("broker")
    assert broker.level == "wrong"
    assert "far cannot be reached" in broker.words


@pytest.mark.parametrize(("free", "level"), [(5e11, "ok"), (5e9, "note"), (5e8, "wrong")])
def test_disk(free: float, level: str) -> None:
    assert disk_finding("disk", free, "/scratch").level == level
