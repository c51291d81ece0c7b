"""How many processors this process was granted: by the scheduler, by its affinity, by the quota of its container."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of the second version of cgroups: "QUOTA PERIOD" in microseconds, or "max"


def granted_threads(environment: Mapping[str, str] | None = None, quota: Path = QUOTA) -> int | None:
    """Return the number of threads to use at most; None where OMP_NUM_THREADS says it to torch itself.

    :param environment: default: that of the process.
    """
    environment = os.environ if environment is None else environment
    if environment.get("OMP_NUM_THREADS"):
        return None
    limits = [len(os.sched_getaffinity(0)), of_scheduler(environment), of_quota(quota)]
    return min(limit for limit in limits if limit is not None)


def of_scheduler(environment: Mapping[str, str]) -> int | None:
    """Return the cores a task was granted by Slurm, PBS, Grid Engine or LSF; None outside a job."""
    each = number(environment, "SLURM_CPUS_PER_TASK")
    if each is not None:
        return each
    # Without --cpus-per-task Slurm does not set it; jobs are asked for with --ntasks-per-node.
    node = number(environment, "SLURM_CPUS_ON_NODE")
    if node is not None:
        tasks = number(environment, "SLURM_NTASKS_PER_NODE") or number(environment, "SLURM_TASKS_PER_NODE") or 1
        return max(1, node // tasks)
    cores = (number(environment, name) for name in ("NCPUS", "PBS_NUM_PPN", "NSLOTS", "LSB_DJOB_NUMPROC"))
    return next((count for count in cores if count is not None), None)


def number(environment: Mapping[str, str], name: str) -> int | None:
    """Return the number that a variable begins with, as in ``2(x3)``; None where there is none above zero."""
    digits = environment.get(name, "").partition("(")[0].partition(",")[0].strip()
    return int(digits) if digits.isdigit() and int(digits) > 0 else None


def of_quota(path: Path) -> int | None:
    """Return the processors of a container's quota, rounded up; None where it has none."""
    try:
        quota, _, period = path.read_text(encoding="ascii").strip().partition(" ")
        return max(1, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):  # no cgroups of the second version, or "max"
        return None
