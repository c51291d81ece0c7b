"""Whether the machine-learned potential of a pre-relaxation is there where its job will run."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from typing import Any

from aiida.orm import AbstractCode, InstalledCode

SECONDS = 120


def installed_potentials(code: AbstractCode) -> list[str] | None:
    """Return the shipped potentials that a code of this machine can load; None: it is not known.

    A code of another machine is not asked: that costs a connection, and a job that finds none says so.
    """
    local = code.computer is not None and code.computer.transport_type == "core.local"
    if not (local and isinstance(code, InstalledCode)):
        return None
    command = [str(code.filepath_executable), "--probe"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        found = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError):
        return None
    names = found.get("potentials") if isinstance(found, dict) else None
    return list(names) if isinstance(names, list) else None


def potential_for(code: AbstractCode, wanted: Mapping[str, Any]) -> tuple[str | None, str]:
    """Return the potential to take, and what to say of it: the one wanted, another that is there, or None.

    :param wanted: `potential` of the settings of the stage relax.
    """
    name = str(wanted.get("name", "7net-0"))
    there = installed_potentials(code)
    if there is None or name in there or name.startswith("ase:"):
        return name, ""
    if there:
        return there[0], f"{name} is not installed where {code.full_label} runs: candidates are relaxed with {there[0]}"
    return None, (
        f"no potential is installed where {code.full_label} runs, so candidates are not relaxed before the DFT, and no "
        "energy above the hull is estimated; `pip install 'aiida-icsg3d[relax]'` there brings them"
    )
