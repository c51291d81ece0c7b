"""GPUs, which AiiDA has no field for, as the line that a scheduler understands."""

from __future__ import annotations

SLURM = ("icsg3d.slurm", "core.slurm")
"""Ours, and AiiDA's own."""
PBS = "icsg3d.pbspro"
"""Our scheduler of PBS Pro, which heeds such a line."""


def gpu_line(scheduler: str, gpus: int | str, machines: int, cores: int, processes: int = 1) -> str:
    """Return the line of a job script that asks for GPUs on each machine.

    :param scheduler: entry point of AiiDA's scheduler.
    :param gpus: how many on each machine; for Slurm also with their type, `a100:2`.
    :raises ValueError: a scheduler that this is not known of.
    """
    kind, _, count = str(gpus).rpartition(":")
    if not count.isdigit() or int(count) < 1 or (kind and scheduler not in SLURM):
        accepted = "a number, or a type and a number such as a100:2" if scheduler in SLURM else "a number"
        raise ValueError(f"gpus: received {gpus!r}; {scheduler} takes {accepted}")
    if scheduler in SLURM:
        return f"#SBATCH --gres=gpu:{gpus}"
    if scheduler == PBS:
        return f"#PBS -l select={machines}:ncpus={cores}:mpiprocs={processes}:ngpus={count}"
    raise ValueError(
        f"gpus: how {scheduler} is asked for GPUs is not known; write the line yourself under `scheduler_lines`"
    )
