"""Make the computer and the codes of a cluster; calling it again with the same file changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiida import orm
from aiida.common.exceptions import NotExistent
from aiida.manage import get_manager
from aiida.manage.configuration import get_config

from .cluster_file import SCHEDULERS, Cluster, Program
from .codes import JOB_DEFAULTS
from .gpus import SLURM, gpu_line

SSH, HERE = "core.ssh_async", "core.local"
SAFE_SECONDS = {SSH: 2.0, HERE: 0.0}
POLL_SECONDS = {"direct": 1.0}
POLL_QUEUE_SECONDS = 5.0
OPTION, ATTEMPTS = "transport.task_maximum_attempts", 8
"""The pauses between tries double from 20 s on: AiiDA's own five tries last five minutes, eight last 42."""
PLUGINS = {"icsg3d": None, "pw": "quantumespresso.pw"}


def set_up(cluster: Cluster, say: Callable[[str], None] = print) -> dict[str, orm.AbstractCode]:
    """Make the computer and its codes, and return the codes by `icsg3d` and `pw`.

    :raises ValueError: a computer of that label that is another one.
    """
    computer = set_up_computer(cluster)
    if not cluster.is_local and be_patient():
        say(f"a cluster that does not answer is tried {ATTEMPTS} times, for 40 minutes, after `verdi daemon restart`")
    say(f"computer {computer.label}: {computer.hostname}, {computer.transport_type}, {computer.scheduler_type}")
    codes = {}
    for name, plugin in PLUGINS.items():
        program: Program | None = getattr(cluster, name)
        if program is None:
            continue
        code = codes[name] = set_up_code(computer, program.label or name, plugin, program)
        options = job_options_of(cluster, program)
        code.base.extras.set(JOB_DEFAULTS, options)
        words = ", ".join(f"{key} {value}" for key, value in options.items())
        say(f"code {code.full_label}: {program.path}" + (f"\n  its jobs: {words}" if words else ""))
    return codes


def be_patient() -> bool:
    """Let AiiDA try longer before it pauses jobs on a cluster that does not answer; False: it does already."""
    config, profile = get_config(), get_manager().get_profile()
    if profile is None or config.get_option(OPTION, scope=profile.name) >= ATTEMPTS:
        return False
    config.set_option(OPTION, ATTEMPTS, scope=profile.name)
    config.store()
    return True


def set_up_computer(cluster: Cluster) -> orm.Computer:
    """Return the computer, made where there is none.

    :raises ValueError: the label is taken by another host, transport or scheduler.
    """
    transport = HERE if cluster.is_local else SSH
    scheduler = SCHEDULERS[cluster.scheduler]
    fixed: dict[str, Any] = {"hostname": cluster.host, "transport_type": transport, "scheduler_type": scheduler}
    try:
        computer = orm.load_computer(cluster.label)
    except NotExistent:
        computer = orm.Computer(cluster.label, workdir=cluster.workdir, **fixed).store()
    if {computer.scheduler_type, scheduler} == set(SLURM):  # one that was made before
        fixed["scheduler_type"] = computer.scheduler_type
    other = [f"{name} {getattr(computer, name)}" for name, value in fixed.items() if getattr(computer, name) != value]
    if other:
        raise ValueError(
            f"there is a computer {cluster.label!r} already, with {', '.join(other)}; choose another `label`, or "
            f"`verdi computer relabel {cluster.label} NEW`"
        )
    computer.set_workdir(cluster.workdir)
    computer.set_prepend_text(cluster.prepend_text)
    computer.set_mpirun_command(cluster.mpirun.split())
    computer.set_default_mpiprocs_per_machine(1)
    poll = POLL_SECONDS.get(cluster.scheduler, POLL_QUEUE_SECONDS)
    computer.set_minimum_job_poll_interval(poll if cluster.poll_interval is None else cluster.poll_interval)
    safe = SAFE_SECONDS[transport] if cluster.safe_interval is None else cluster.safe_interval
    parameters: dict[str, Any] = {"safe_interval": safe, "use_login_shell": transport == SSH}
    if transport == SSH:
        parameters["host"] = cluster.host
    computer.configure(**parameters)
    return computer


def set_up_code(computer: orm.Computer, label: str, plugin: str | None, program: Program) -> orm.AbstractCode:
    """Return the code of a program, made where there is none; one that was another program is relabelled."""
    try:
        code: Any = orm.load_code(f"{label}@{computer.label}")
    except NotExistent:
        pass
    else:
        if describes(code, program):
            return code
        code.label = f"{label}-before-{code.pk}"
        code.is_hidden = True
    given: dict[str, Any] = {
        "computer": computer, "filepath_executable": program.path, "label": label, "default_calc_job_plugin": plugin,
        "prepend_text": program.prepend_text, "with_mpi": False if plugin is None else None,
    }  # fmt: skip
    if program.container is None:
        return orm.InstalledCode(**given).store()
    container = {"engine_command": program.container.command, "image_name": program.container.image}
    return orm.ContainerizedCode(**given, **container).store()


def describes(code: Any, program: Program) -> bool:
    """Tell whether a code is what the file says, so that it can stay."""
    container = program.container
    inside = (getattr(code, "engine_command", None), getattr(code, "image_name", None))
    wanted = (container.command, container.image) if container else (None, None)
    return bool(
        str(code.filepath_executable) == program.path
        and (code.prepend_text or "").strip() == program.prepend_text.strip()
        and inside == wanted
    )


def job_options_of(cluster: Cluster, program: Program) -> dict[str, Any]:
    """Return AiiDA's ``metadata.options`` of the jobs of a program."""
    scheduler = SCHEDULERS[cluster.scheduler]
    resources = {"num_machines": program.machines, "num_mpiprocs_per_machine": program.processes}
    if program.cores is not None:
        resources["num_cores_per_mpiproc"] = program.cores
    lines = program.scheduler_lines.strip().splitlines()
    if program.gpus is not None:
        cores = (program.cores or 1) * program.processes
        lines.append(gpu_line(scheduler, program.gpus, program.machines, cores, program.processes))
    options = {
        "account": program.account or cluster.account,
        "queue_name": program.partition or cluster.partition,
        "qos": program.qos or cluster.qos,
        "max_wallclock_seconds": program.walltime,
        "resources": resources,
        "custom_scheduler_commands": "\n".join(lines) or None,
    }
    return {name: value for name, value in options.items() if value is not None}
