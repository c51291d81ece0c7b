"""Which interpreter runs a run in the foreground, so that one whose terminal is gone is not taken for running."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from aiida.orm import ProcessNode

RUN_BY = "icsg3d_run_by"
"""Extra of a run in the foreground: machine, process and when that process began."""


def mark(node: ProcessNode) -> None:
    """Note on a run that this interpreter runs it."""
    began = psutil.Process().create_time()
    node.base.extras.set(RUN_BY, {"host": socket.gethostname(), "pid": os.getpid(), "began": began})


def is_left(node: ProcessNode) -> bool:
    """Tell whether an interpreter of this machine ran it and is gone; False where that cannot be known."""
    found = node.base.extras.get(RUN_BY, None)
    if found is None or node.is_terminated or found["host"] != socket.gethostname():
        return False
    try:
        process = psutil.Process(found["pid"])
        # one that was killed, and that nobody has asked about yet, is still listed
        return process.status() == psutil.STATUS_ZOMBIE or abs(process.create_time() - float(found["began"])) > 1
    except psutil.NoSuchProcess:
        return True
