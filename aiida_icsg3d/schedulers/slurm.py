"""Slurm that says at once what it will never run."""

from __future__ import annotations

from aiida.engine import ExitCode
from aiida.schedulers.plugins.slurm import SlurmScheduler

SCHEDULER_REFUSED = 132
"""Exit status of a job that the scheduler refuses for good; 131 is AiiDA's, for an account."""
NEVER = (
    "invalid generic resource", "invalid partition", "invalid qos", "invalid feature specification",
    "requested node configuration is not available", "requested time limit is invalid",
    "more processors requested than permitted", "memory specification can not be satisfied", "unrecognized option",
)  # fmt: skip
"""What sbatch says of a job that it would refuse again. Of a full queue or of a controller that does not answer it says
other things; these pass, and AiiDA tries again."""


class SlurmRefusesScheduler(SlurmScheduler):
    """Slurm where a job that cannot run ends, with the words of sbatch.

    AiiDA's own tries again, five times over five minutes, and pauses the job: the reason stands in its log alone.
    """

    def _parse_submit_output(self, retval: int, stdout: str, stderr: str) -> str | ExitCode:
        """Return the number of the job, or why it is refused."""
        if retval and any(words in stderr.lower() for words in NEVER):
            said = " ".join(stderr.split())
            return ExitCode(SCHEDULER_REFUSED, f"Slurm refuses the job: {said}", invalidates_cache=True)
        return super()._parse_submit_output(retval, stdout, stderr)
