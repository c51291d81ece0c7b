"""Atomic checkpoints: the last state to go on from, and the best weights so far.

Only tensors, numbers and strings are stored, and they are read with ``weights_only=True``: a checkpoint
from elsewhere cannot run code.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from ...results import StageError

FORMAT_VERSION = 1
LAST = "last.pt"


def save_checkpoint(directory: Path, content: dict[str, Any]) -> None:
    """Write ``last.pt`` so that a reader, and a killed writer, sees the old file or the whole new one."""
    directory.mkdir(parents=True, exist_ok=True)
    temporary = directory / f".{LAST}.{os.getpid()}"
    try:
        torch.save({"format_version": FORMAT_VERSION, **content}, temporary)
        os.replace(temporary, directory / LAST)
    finally:
        temporary.unlink(missing_ok=True)


def load_checkpoint(directory: Path, kind: str) -> dict[str, Any]:
    """Read ``last.pt`` and check that it belongs to this kind of network.

    :raises StageError: missing, truncated, a foreign pickle, or of another network or version.
    """
    path = directory / LAST
    if not path.is_file():
        raise StageError("input_missing", f"{path}: no checkpoint there; leave out `resume_from` to start afresh")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as exception:
        raise StageError(
            "input_unreadable",
            f"{path}: damaged or no checkpoint of icsg3d ({str(exception).splitlines()[0]}); start afresh",
        ) from exception
    if not isinstance(content, dict) or content.get("format_version") != FORMAT_VERSION:
        raise StageError("input_unreadable", f"{path}: no checkpoint of this release; start afresh")
    if content["kind"] != kind:
        raise StageError("input_incompatible", f"{path}: a checkpoint of {content['kind']}, not of {kind}")
    return content
