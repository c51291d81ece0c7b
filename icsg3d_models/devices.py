"""Choice of the device and of the number of threads."""

from __future__ import annotations

import torch

from .results import Report, StageError
from .settings import StageSettings


def select_device(settings: StageSettings, report: Report) -> torch.device:
    """Return the device the settings ask for, set the threads and note both in the report.

    :raises StageError: a GPU is asked for and none is there.
    """
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    available = torch.cuda.is_available()
    if settings.device == "cuda" and not available:
        raise StageError(
            "device_unavailable",
            "device `cuda` was asked for, but torch sees no GPU here; "
            "use `auto` or `cpu`, or ask the scheduler for one",
        )
    device = torch.device("cuda" if settings.device != "cpu" and available else "cpu")
    report.device = torch.cuda.get_device_name() if device.type == "cuda" else f"cpu x{torch.get_num_threads()}"
    return device
