"""A cluster described by a file: what is refused, and the computer, codes and job scripts that come out of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from aiida import orm
from aiida.manage import get_manager
from aiida.manage.configuration import get_config
from aiida.plugins import SchedulerFactory
from aiida.schedulers.datastructures import JobTemplate

from aiida_icsg3d.setup.cluster import ATTEMPTS, OPTION, set_up
from aiida_icsg3d.setup.cluster_file import read_cluster
from aiida_icsg3d.setup.codes import find_code, job_defaults
from aiida_icsg3d.setup.templates import template_names, template_text

CLUSTER: dict[str, Any] = {
    "label": "cluster", "host": "login.example", "scheduler": "slurm", "workdir": "/scratch/{username}/aiida",
    "account": "materials", "prepend_text": "module purge\n",
    "icsg3d": {"path": "/opt/icsg3d", "gpus": 1, "cores": 8, "partition": "gpu", "walltime": 600},
    "pw": {"path": "/opt/pw.x", "processes": 32, "partition": "cpu"},
}  # fmt: skip


def written(folder: Path, **changes: Any) -> Path:
    """Return a file with the cluster, changed."""
    path = folder / "cluster.yaml"
    path.write_text(yaml.safe_dump(CLUSTER | changes))
    return path


def header(code: orm.AbstractCode) -> list[str]:
    """Return the lines that the scheduler reads in a job script of a code."""
    options = job_defaults(code)
    scheduler = SchedulerFactory(code.computer.scheduler_type)()
    template = JobTemplate()
    template.job_resource = scheduler.create_job_resource(**options["resources"])
    template.account, template.queue_name = options.get("account"), options.get("queue_name")
    template.custom_scheduler_commands = options.get("custom_scheduler_commands")
    template.max_wallclock_seconds = options.get("max_wallclock_seconds")
    return [line for line in scheduler._get_submit_script_header(template).splitlines() if line.startswith("#")]


@pytest.mark.usefixtures("aiida_profile_clean")
def test_computer_and_codes(tmp_path: Path) -> None:
    codes = set_up(read_cluster(written(tmp_path)), say=lambda text: None)
    computer = orm.load_computer("cluster")
    assert (computer.transport_type, computer.scheduler_type) == ("core.ssh_async", "icsg3d.slurm")
    assert computer.get_configuration()["host"] == "login.example"
    assert computer.get_configuration()["safe_interval"] == 2
    assert computer.get_minimum_job_poll_interval() == 5
    assert computer.get_prepend_text() == "module purge\n"
    assert get_config().get_option(OPTION, scope=get_manager().get_profile().name) == ATTEMPTS
    assert find_code("icsg3d@cluster", "icsg3d.sample", "icsg3d").pk == codes["icsg3d"].pk
    assert find_code("pw@cluster", "quantumespresso.pw", "pw.x").pk == codes["pw"].pk
    lines = header(codes["icsg3d"])
    assert "#SBATCH --gres=gpu:1" in lines
    assert "#SBATCH --account=materials" in lines
    assert "#SBATCH --partition=gpu" in lines
    assert "#SBATCH --cpus-per-task=8" in lines
    assert not [line for line in header(codes["pw"]) if "gres" in line]


@pytest.mark.usefixtures("aiida_profile_clean")
def test_again_changes_nothing_and_another_path_is_another_code(tmp_path: Path) -> None:
    first = set_up(read_cluster(written(tmp_path)), say=lambda text: None)
    again = set_up(read_cluster(written(tmp_path)), say=lambda text: None)
    assert {name: code.pk for name, code in again.items()} == {name: code.pk for name, code in first.items()}
    other = {**CLUSTER["pw"], "path": "/opt/new/pw.x"}
    second = set_up(read_cluster(written(tmp_path, pw=other)), say=lambda text: None)
    assert second["pw"].pk != first["pw"].pk
    assert orm.load_code("pw@cluster").pk == second["pw"].pk
    with pytest.raises(ValueError, match=r"a computer 'cluster' already, with hostname login.example"):
        set_up(read_cluster(written(tmp_path, host="elsewhere")), say=lambda text: None)


@pytest.mark.usefixtures("aiida_profile_clean")
def test_pbs_is_asked_for_gpus_in_its_one_line(tmp_path: Path) -> None:
    """qsub takes the first `-l select` of a script: a second one with the GPU would be dropped without a word."""
    codes = set_up(read_cluster(written(tmp_path, scheduler="pbspro")), say=lambda text: None)
    selects = [line for line in header(codes["icsg3d"]) if "select=" in line]
    assert selects == ["#PBS -l select=1:ncpus=8:mpiprocs=1:ngpus=1"]
    assert [line for line in header(codes["pw"]) if "select=" in line] == ["#PBS -l select=1:mpiprocs=32"]


@pytest.mark.usefixtures("aiida_profile_clean")
def test_a_program_in_a_container(tmp_path: Path) -> None:
    container = {"image": "/images/icsg3d.sif", "command": "apptainer exec --nv {image_name}"}
    given = {**CLUSTER["icsg3d"], "container": container}
    code: Any = set_up(read_cluster(written(tmp_path, icsg3d=given)), say=lambda text: None)["icsg3d"]
    assert code.get_prepend_cmdline_params() == ["apptainer", "exec", "--nv", "/images/icsg3d.sif"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sheduler": "slurm"}, r"cluster.yaml: sheduler: there is no such setting; did you mean scheduler"),
        ({"icsg3d": {"path": "/x", "gpu": 1}}, r"icsg3d.gpu: there is no such setting; did you mean gpus"),
        ({"scheduler": "loadleveler"}, r"scheduler: Input should be 'slurm', 'pbspro'.*received \"loadleveler\""),
        ({"icsg3d": {"path": "icsg3d"}}, r"icsg3d: `path` 'icsg3d' is not absolute"),
        ({"icsg3d": {"path": "/x", "gpus": "many"}}, r"gpus: received 'many'; icsg3d.slurm takes a number, or a type"),
        ({"scheduler": "torque"}, r"how core.torque is asked for GPUs is not known; .*scheduler_lines"),
        ({"scheduler": "direct"}, r"icsg3d.gpus: without a queue"),
    ],
)
def test_what_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_cluster(written(tmp_path, **changes))


@pytest.mark.parametrize(
    ("text", "message"),
    [("label: [", r"cluster.yaml, line 1: not valid YAML"), ("- a\n", r"received a list; a mapping")],
)
def test_what_is_no_yaml(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "cluster.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_cluster(tmp_path / "cluster.yaml")
    with pytest.raises(ValueError, match=r"nowhere\.yaml: no such file"):
        read_cluster(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize("name", template_names())
def test_templates_are_complete(tmp_path: Path, name: str) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(template_text(name))
    cluster = read_cluster(path)
    assert cluster.is_local == (name == "localhost")
