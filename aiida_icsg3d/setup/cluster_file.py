"""The file that describes a cluster to `aiida-icsg3d setup`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from icsg3d_models.settings.problems import describe_problems
from icsg3d_models.strict import Positive, Strict

from .gpus import gpu_line
from .yaml_file import read_mapping

SCHEDULERS = {"slurm": "icsg3d.slurm", "pbspro": "icsg3d.pbspro", "torque": "core.torque", "direct": "core.direct"}
"""Name in the file -> AiiDA's scheduler. Those that count by parallel environments are set up by `verdi`."""
LOCAL = ("localhost", "127.0.0.1")


class Container(Strict):
    """An image that a program is in."""

    image: str
    """Path of the image on the cluster, or its name in a registry."""
    command: str = "apptainer exec --nv --bind $PWD {image_name}"
    """What runs a program in it; `{image_name}` stands for the image."""

    @model_validator(mode="after")
    def _names_the_image(self) -> Container:
        if "{image_name}" not in self.command:
            raise ValueError("`command` must hold {image_name}, which stands for the image")
        return self


class Program(Strict):
    """A program on the cluster and what its jobs ask the scheduler for; what is left out is taken from above."""

    path: str
    """Absolute path, on the cluster or in the container."""
    label: str | None = None
    """Of the code; default: icsg3d and pw."""
    machines: Positive = 1
    """Nodes a job."""
    processes: Positive = 1
    """MPI processes on each."""
    cores: Positive | None = None
    """Cores of each process."""
    gpus: Positive | str | None = None
    """GPUs on each node; for Slurm also with their type, `a100:2`."""
    walltime: Positive | None = None
    """Seconds; default: that of the protocols."""
    account: str | None = None
    partition: str | None = None
    qos: str | None = None
    scheduler_lines: str = ""
    """Lines for the head of the job script, as the scheduler wants them."""
    prepend_text: str = ""
    """Shell commands before the program, after those of the computer."""
    container: Container | None = None

    @model_validator(mode="after")
    def _path_is_absolute(self) -> Program:
        if not Path(self.path).is_absolute():
            raise ValueError(f"`path` {self.path!r} is not absolute; `which {Path(self.path).name}` there says it")
        return self


class Cluster(Strict):
    """A computer, and the programs on it."""

    label: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]
    """Of the computer in AiiDA."""
    host: str
    """Name of its `Host` entry in ~/.ssh/config, which needs no password; localhost: this machine, without ssh."""
    scheduler: Literal["slurm", "pbspro", "torque", "direct"]
    workdir: str
    """Where jobs run, with plenty of space; {username} stands for the user there."""
    account: str | None = None
    """Of all jobs; so are partition and qos."""
    partition: str | None = None
    """Partition or queue."""
    qos: str | None = None
    prepend_text: str = ""
    """Shell commands before every program: modules, variables."""
    mpirun: str = "mpirun -np {tot_num_mpiprocs}"
    """What starts a parallel program; for Slurm often `srun -n {tot_num_mpiprocs}`."""
    safe_interval: Annotated[float, Field(ge=0)] | None = None
    """Seconds between two connections; default: 0 on this machine, 2 through ssh. It is paid some four times a job."""
    poll_interval: Annotated[float, Field(ge=0)] | None = None
    """Seconds between two looks at the queue; default: 1 without a queue, 5 with one."""
    icsg3d: Program
    """Sampling, segmentation, rebuilding, screening and training."""
    pw: Program | None = None
    """pw.x of Quantum ESPRESSO; left out: no DFT here."""

    @property
    def is_local(self) -> bool:
        """Whether it is this machine."""
        return self.host in LOCAL

    @model_validator(mode="after")
    def _fits_together(self) -> Cluster:
        for name, program in (("icsg3d", self.icsg3d), ("pw", self.pw)):
            if program is None or program.gpus is None:
                continue
            if self.scheduler == "direct":
                raise ValueError(
                    f"{name}.gpus: without a queue there is nothing to ask; a program takes the GPU it finds"
                )
            gpu_line(SCHEDULERS[self.scheduler], program.gpus, program.machines, program.cores or 1, program.processes)
        return self


def read_cluster(path: Path) -> Cluster:
    """Return the description of a cluster.

    :raises ValueError: names file, key, what was received and what is accepted.
    """
    try:
        return Cluster.model_validate(read_mapping(path))
    except ValidationError as exception:
        raise ValueError(f"{path}: {describe_problems(exception, Cluster)}") from None
