"""PBS Professional and OpenPBS with the resources that the user asks for, GPUs among them."""

from __future__ import annotations

import re
from typing import Any

from aiida.schedulers.plugins.pbspro import PbsproScheduler

SELECT = re.compile(r"^#PBS\s+-l\s+select=", re.MULTILINE)


class PbsproGpuScheduler(PbsproScheduler):
    """PBS Pro where a line `#PBS -l select=` of `custom_scheduler_commands` stands in place of AiiDA's.

    AiiDA writes its own line first, and qsub takes the first `-l select` of a script and drops later ones without a
    word, so that a GPU asked for in `custom_scheduler_commands` would never be given.
    """

    def _get_submit_script_header(self, job_tmpl: Any) -> str:
        """Return the header with one line of resources."""
        header = str(super()._get_submit_script_header(job_tmpl))
        if not SELECT.search(job_tmpl.custom_scheduler_commands or ""):
            return header
        lines = header.splitlines()
        ours = next(index for index, line in enumerate(lines) if SELECT.match(line))
        return "\n".join(lines[:ours] + lines[ours + 1 :])
