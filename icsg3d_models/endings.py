"""How an exception ends a stage: a status of the closed list, and words for the user."""

from __future__ import annotations

import errno

from .crystals.batch import CrystalError
from .networks.model_file import ModelFileError
from .results import StageError


def classify(exception: BaseException) -> tuple[str, str]:
    """Return the status and message of an exception that ended a stage."""
    message = str(exception)
    if isinstance(exception, StageError):
        return exception.status, message
    if isinstance(exception, ModelFileError | CrystalError):
        return "input_unreadable", message
    if isinstance(exception, FileNotFoundError):
        return "input_missing", f"{exception.filename or message}: no such file"
    if isinstance(exception, OSError) and exception.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            "disk_full",
            f"no space left on the device while writing {exception.filename or 'a file'}; free some and restart",
        )
    if isinstance(exception, MemoryError) or type(exception).__name__ == "OutOfMemoryError":
        return "out_of_memory", "memory ran out; lower `batch_size`"
    if isinstance(exception, ModuleNotFoundError):
        return "failed", f"{message}; install `aiida-icsg3d[models]` there, for potentials with the extra `relax`"
    if isinstance(exception, KeyboardInterrupt):
        return "interrupted", "ended by a signal"
    return "failed", f"{type(exception).__name__}: {message}"
