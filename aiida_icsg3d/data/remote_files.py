"""Whether files that stay on a computer are still there: scratch is purged, and folders are cleaned."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

from aiida.common.exceptions import AiidaException
from aiida.orm import ProcessNode, RemoteData, RemoteStashFolderData
from aiida.transports.transport import TransportInternalError

UNREACHABLE = (OSError, AiidaException, TransportInternalError, RuntimeError)
"""What a computer raises that does not answer, that this user has not configured, or that is asked by asynchronous ssh
where an event loop cannot wait."""
TRIAL = ".icsg3d-trial"
TRIAL_BYTES = 1 << 20
NO_SPACE = ("no space left", "quota")


RemoteFolder = (RemoteData, RemoteStashFolderData)
"""What can be linked where it lies: the folder of a job, and copies of its files that were stashed."""


def path_in(folder: RemoteData | RemoteStashFolderData, name: str = ".") -> str:
    """Return the path of a file in a folder on a computer.

    :param name: relative to the folder; the folder itself where it is left out.
    """
    base = folder.get_remote_path() if isinstance(folder, RemoteData) else folder.target_basepath
    return str(PurePosixPath(base) / name)


def is_there(folder: RemoteData | RemoteStashFolderData, name: str) -> bool | None:
    """Tell whether a file lies in a remote folder; None where the computer does not say.

    :param name: relative to the folder.
    """
    if isinstance(folder, RemoteData) and folder.is_cleaned:
        return False
    computer: Any = folder.computer
    try:
        with computer.get_transport(folder.user) as transport:
            return bool(transport.path_exists(path_in(folder, name)))
    except UNREACHABLE:
        return None


def folder_with(process: ProcessNode, names: Iterable[str]) -> RemoteData | RemoteStashFolderData:
    """Return where the files of a job are: its remote folder, or what was stashed of it where the folder lacks them.

    :param process: a job, or a WorkChain that repeats its outputs.
    """
    folder: RemoteData = process.outputs.remote_folder
    stash = stash_of(process)
    if stash is None or all(is_there(folder, name) is not False for name in names):
        return folder
    return stash if all(is_there(stash, name) for name in names) else folder


def stash_of(process: ProcessNode) -> RemoteStashFolderData | None:
    """Return the files of a job that were copied to a place that is not purged; None: there are none."""
    found = process.base.links.get_outgoing(link_label_filter="remote_stash").all()
    node = found[0].node if found else None
    return node if isinstance(node, RemoteStashFolderData) else None


def has_room(folder: RemoteData) -> bool | None:
    """Tell whether a MiB can be written to a remote folder, as a full disk or quota forbids; None: it does not say."""
    path = shlex.quote(folder.get_remote_path())
    command = f"cd {path} && head -c {TRIAL_BYTES} /dev/zero > {TRIAL} && rm {TRIAL}"
    computer: Any = folder.computer
    try:
        with computer.get_transport(folder.user) as transport:
            status, _, said = transport.exec_command_wait(command)
            if status and any(words in said.lower() for words in NO_SPACE):
                transport.exec_command_wait(f"rm -f {path}/{TRIAL}")
                return False
    except UNREACHABLE:
        return None
    return None if status else True
