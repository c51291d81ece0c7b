"""Whether files that stay on a computer are still there: scratch is purged, and folders are cleaned."""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath

from aiida.common.exceptions import AiidaException
from aiida.orm import RemoteData
from aiida.transports.transport import TransportInternalError

UNREACHABLE = (OSError, AiidaException, TransportInternalError, RuntimeError)
"""What a computer raises that does not answer, that this user has not configured, or that is asked by asynchronous ssh
where an event loop cannot wait."""
TRIAL = ".icsg3d-trial"
TRIAL_BYTES = 1 << 20
NO_SPACE = ("no space left", "quota")


def is_there(folder: RemoteData, name: str) -> bool | None:
    """Tell whether a file lies in a remote folder; None where the computer does not say.

    :param name: relative to the folder.
    """
    if folder.is_cleaned:
        return False
    try:
        with folder.get_authinfo().get_transport() as transport:
            return bool(transport.path_exists(str(PurePosixPath(folder.get_remote_path()) / name)))
    except UNREACHABLE:
        return None


def has_room(folder: RemoteData) -> bool | None:
    """Tell whether a MiB can be written to a remote folder, as a full disk or quota forbids; None: it does not say."""
    path = shlex.quote(folder.get_remote_path())
    command = f"cd {path} && head -c {TRIAL_BYTES} /dev/zero > {TRIAL} && rm {TRIAL}"
    try:
        with folder.get_authinfo().get_transport() as transport:
            status, _, said = transport.exec_command_wait(command)
            if status and any(words in said.lower() for words in NO_SPACE):
                transport.exec_command_wait(f"rm -f {path}/{TRIAL}")
                return False
    except UNREACHABLE:
        return None
    return None if status else True
