"""Set the local machine up for short jobs; calling anything here again changes nothing that is right."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from aiida import orm
from aiida.common.exceptions import NotExistent

from ..dft.pseudos import choose_family
from ..dft.pseudos.debian import LABEL
from .shipped_references import import_references

DENSITIES = ("dos", "projwfc")
"""Programs of Quantum ESPRESSO that may lie beside pw.x; `candidates dos` needs them."""
POLL_SECONDS = 1.0
PREPEND = ["export OMP_NUM_THREADS=1"]
OPENMPI = [
    # two relaxations side by side: without this Open MPI would bind both to the first core
    "export OMPI_MCA_hwloc_base_binding_policy=none",
]
OPENMPI_ROOT = ["export OMPI_ALLOW_RUN_AS_ROOT=1", "export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"]


def prepare_localhost(label: str = "localhost", workdir: Path | None = None) -> orm.Computer:
    """Return the local machine as a Computer that AiiDA polls without waiting.

    :param label: label of the Computer; it is made where there is none.
    :param workdir: where jobs run; default: the one it has, or one of the user in the temporary directory.
    """
    try:
        computer = orm.load_computer(label)
    except NotExistent:
        folder = workdir or Path(tempfile.gettempdir()) / f"aiida-{os.getuid()}"
        computer = orm.Computer(
            label, "localhost", "this machine", transport_type="core.local", scheduler_type="core.direct",
            workdir=str(folder),
        ).store()  # fmt: skip
    if workdir is not None:
        computer.set_workdir(str(workdir))
    computer.set_minimum_job_poll_interval(POLL_SECONDS)
    computer.set_default_mpiprocs_per_machine(1)
    computer.set_prepend_text("\n".join(PREPEND + OPENMPI + (OPENMPI_ROOT if os.getuid() == 0 else [])))
    computer.configure(safe_interval=0.0, use_login_shell=False)
    return computer


def prepare_code(computer: orm.Computer, label: str, plugin: str | None, executable: Path) -> orm.AbstractCode:
    """Return the code of an executable on a computer, made where there is none.

    A code of that label with another path is relabelled, not changed: what it ran stays true.

    :param plugin: entry point of its CalcJob; None where one executable serves several.
    :param executable: absolute path.
    """
    try:
        code = orm.load_code(f"{label}@{computer.label}")
    except NotExistent:
        pass
    else:
        if code.filepath_executable == executable:
            return code
        code.label = f"{label}-before-{code.pk}"
        code.is_hidden = True
    return orm.InstalledCode(
        computer=computer, filepath_executable=str(executable), label=label, default_calc_job_plugin=plugin,
        with_mpi=False if plugin is None else None,
    ).store()  # fmt: skip


def find_program(name: str, beside: Path | None = None) -> Path:
    """Return the path of a program: beside this Python, or on the PATH.

    :raises ValueError: there is none.
    """
    found = beside if beside is not None and beside.is_file() else shutil.which(name)
    if found is None:
        hint = {
            "pw.x": "`conda install -c conda-forge qe`, or on Debian and Ubuntu `apt-get install quantum-espresso`, "
            "brings it; --no-pw goes without DFT",
            "icsg3d": "`pip install 'aiida-icsg3d[models]'` brings it",
        }
        raise ValueError(f"{name}: no such program on the PATH; {hint.get(name, 'give its path')}")
    return Path(found)


def set_up_localhost(
    pw: Path | None = None,
    icsg3d: Path | None = None,
    workdir: Path | None = None,
    pseudo_family: str | None = None,
    dft: bool = True,
    say: Callable[[str], None] = print,
) -> None:
    """Make this machine a computer with the codes icsg3d and pw and a pseudopotential family.

    :param pw: path of pw.x; None: that on the PATH.
    :param icsg3d: path of icsg3d; None: that beside this Python, or on the PATH.
    :param workdir: where jobs run; None: where they did, or a folder of the user among the temporary ones.
    :param pseudo_family: label of an installed family; None: found, downloaded or made.
    :param dft: False: no pw.x and no pseudopotentials.
    :raises ValueError: a program or a family that is not there; the message says how to get it.
    """
    beside = Path(sys.executable).with_name("icsg3d")
    programs: list[tuple[str, str | None, Path]] = [("icsg3d", None, icsg3d or find_program("icsg3d", beside))]
    if dft:
        programs.append(("pw", "quantumespresso.pw", pw or find_program("pw.x")))
    for _, _, path in programs:
        if not path.is_file():
            raise ValueError(f"{path}: no such program")
    computer = prepare_localhost(workdir=workdir)
    for label, plugin, path in programs:
        code = prepare_code(computer, label, plugin, path.absolute())
        say(f"code {code.full_label}: {path}")
    if dft:
        for label in DENSITIES:
            executable = (pw or find_program("pw.x")).with_name(f"{label}.x")
            if executable.is_file():
                code = prepare_code(computer, label, f"quantumespresso.{label}", executable.absolute())
                say(f"code {code.full_label}: {executable}")
        family = choose_family(pseudo_family, say=say)
        say(f"pseudopotentials {family.label}: {', '.join(sorted(family.elements))}")
        if family.label == LABEL:
            import_references(say)
