"""What to do with a job that did not end well, and the words for whoever started the run."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any, NamedTuple

from aiida.orm import CalcJobNode, RemoteData

from ...data.remote_files import RemoteFolder, has_room, is_there, path_in
from ..exit_codes import label_of
from .stderr import all_error_lines, error_lines, last_line

AGAIN, SMALLER, STAGE_BEFORE, HOPELESS = "again", "smaller", "stage before", "hopeless"
"""The same again; again with less memory; the stage before first; no retry can mend it."""

TREATMENTS = {
    "ERROR_RESULTS_MISSING": AGAIN,
    "ERROR_OUTPUT_MISSING": AGAIN,
    "ERROR_INTERRUPTED": AGAIN,
    "ERROR_NO_RETRIEVED_FOLDER": AGAIN,
    "ERROR_SCHEDULER_NODE_FAILURE": AGAIN,
    "ERROR_OUT_OF_MEMORY": SMALLER,
    "ERROR_SCHEDULER_OUT_OF_MEMORY": SMALLER,
}
"""Label of an exit code -> what to do, where the files that the job left say nothing else; others are hopeless."""

ADVICE = {
    "ERROR_RESULTS_UNREADABLE": "install the same release of aiida-icsg3d here and where the job ran",
    "ERROR_SETTINGS_REJECTED": "install the same release of aiida-icsg3d here and where the job ran",
    "ERROR_DEVICE_UNAVAILABLE": "ask the scheduler for a GPU (`gpus` of the cluster file, `--options`), or leave "
    "`device` to itself; `aiida-icsg3d doctor` shows what the program finds there",
    "ERROR_DISK_FULL": "free some, then start the run again: what is done comes from the cache",
    "ERROR_WALLTIME": "raise `max_wallclock_seconds`, or ask for less",
    "ERROR_SCHEDULER_OUT_OF_WALLTIME": "raise `max_wallclock_seconds`, or ask for less",
    "ERROR_SCHEDULER_REFUSED": "correct what the job asks for (`partition`, `gpus`, `cores`, `walltime` of the cluster "
    "file, `--options`)",
    "ERROR_SCHEDULER_INVALID_ACCOUNT": "give an account that the scheduler knows (`account` of the cluster file)",
}
"""Label of an exit code -> what to do about it."""

NOT_FOUND = ("command not found", "no such file or directory", "cannot execute", "permission denied", "bad interpreter")
"""What a shell says of a program that it cannot begin."""
MEMORY = ("oom-kill", "oom_kill", "out of memory", "exceeded job memory limit", "exceeded memory limit")
"""What schedulers and kernels write where they killed a job for its memory."""
FULL = ("no space left on device", "disk quota exceeded")
TRACEBACK = "Traceback (most recent call last)"
PASSING = ("KeyboardInterrupt", "MemoryError")
"""Ends of a traceback that say nothing against a second try."""
LIBRARY = "error while loading shared libraries"
PATH_ADVICE = "correct the path of the code (`aiida-icsg3d doctor` tries it): `verdi code show {code}`"
INSTALL_ADVICE = "install `aiida-icsg3d[models]` of this release for the code {code} (`aiida-icsg3d doctor` tries it)"


class Diagnosis(NamedTuple):
    """What to do, and why.

    :param treatment: one of the four words above.
    :param words: the cause and, where nothing can be done from here, what the user can do.
    """

    treatment: str
    words: str


def diagnose(node: CalcJobNode) -> Diagnosis:
    """Return what to do with a job of a stage that failed."""
    label = label_of(node) or ""
    message = (node.exit_message or label or "no message").rstrip(".")
    if label == "ERROR_INPUT_MISSING" and (gone := files_gone(node)):
        return Diagnosis(STAGE_BEFORE, f"{message}; purged from scratch are {', '.join(gone)}")
    if label in ("ERROR_RESULTS_MISSING", "ERROR_NO_RETRIEVED_FOLDER"):
        return without_results(node, message)
    treatment = TREATMENTS.get(label, HOPELESS)
    advice = ADVICE.get(label) if treatment == HOPELESS else None
    return Diagnosis(treatment, f"{message}; {advice}" if advice else message)


def without_results(node: CalcJobNode, message: str) -> Diagnosis:
    """Return what to do with a job that left no results: killed, or never begun; its standard error tells them apart.

    :param message: of its exit code.
    """
    lines = all_error_lines(node)
    code = next((found.full_label for found in inputs_of(node, "code")), "of the job")
    if line := first_with(lines, MEMORY):
        return Diagnosis(SMALLER, f"memory ran out: {line}")
    if line := first_with(lines, FULL):
        return Diagnosis(HOPELESS, f"{line}; {ADVICE['ERROR_DISK_FULL']}")
    if line := program_not_begun(node, lines):
        return Diagnosis(HOPELESS, f"the program did not begin: {line}; {PATH_ADVICE.format(code=code)}")
    found = error_lines(node)
    last = last_line("\n".join(found[1])) if found else ""
    if any(TRACEBACK in line for line in lines) and not last.startswith(PASSING):
        return Diagnosis(HOPELESS, f"the program failed: {last}; {INSTALL_ADVICE.format(code=code)}")
    if any(line.startswith("usage: ") for line in lines) or LIBRARY in last:
        return Diagnosis(HOPELESS, f"the program refused its command: {last}; {INSTALL_ADVICE.format(code=code)}")
    folder = remote_folder(node)
    if folder is not None and has_room(folder) is False:
        where = f"{folder.get_remote_path()} on {node.computer.label if node.computer else 'its computer'}"
        return Diagnosis(HOPELESS, f"no space left in {where}; {ADVICE['ERROR_DISK_FULL']}")
    return Diagnosis(AGAIN, f"{message} ({last})" if last else message)


def first_with(lines: list[str], words: tuple[str, ...]) -> str | None:
    """Return the first line that holds one of some words, whatever their case."""
    return next((line.strip() for line in lines if any(word in line.lower() for word in words)), None)


def program_not_begun(node: CalcJobNode, lines: list[str]) -> str | None:
    """Return the line in which the shell, or the container, says that the program of the code cannot begin.

    A line that does not name it may come from the prepend text, after which the program began all the same.
    """
    names: list[str | None] = []
    for code in inputs_of(node, "code"):
        path = str(code.filepath_executable)
        names += [path, f": {PurePosixPath(path).name}:", getattr(code, "image_name", None)]
    for line in lines:
        if any(name and name in line for name in names) and any(word in line.lower() for word in NOT_FOUND):
            return line.strip()
    return None


def files_gone(node: CalcJobNode) -> list[str]:
    """Return the files of earlier stages, by their paths, that a job was linked to and that are not there."""
    gone = []
    for row in node.process_class.files:  # type: ignore[attr-defined]
        for folder in inputs_of(node, row.port):
            name = row.path or row.name
            if isinstance(folder, RemoteFolder) and is_there(folder, name) is False:
                gone.append(path_in(folder, name))
    return gone


def inputs_of(node: CalcJobNode, port: str) -> list[Any]:
    """Return the node of an input, if it was given."""
    return [triple.node for triple in node.base.links.get_incoming(link_label_filter=port).all()]


def remote_folder(node: CalcJobNode) -> RemoteData | None:
    """Return the remote folder of a job, None where it was never made."""
    found = node.base.links.get_outgoing(link_label_filter="remote_folder").all()
    folder: Any = found[0].node if found else None
    return folder
