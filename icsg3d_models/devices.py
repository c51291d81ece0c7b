"""Choice of the device and of the number of threads."""

from __future__ import annotations

import torch

from .granted import granted_threads
from .results import Report, StageError
from .settings import StageSettings


def select_device(settings: StageSettings, report: Report) -> torch.device:
    """Return the device the settings ask for, set the threads and note both in the report.

    :raises StageError: a GPU is asked for and none is there.
    """
    granted = settings.threads or granted_threads()
    if granted is not None and (settings.threads or granted < torch.get_num_threads()):
        torch.set_num_threads(granted)
    available = torch.cuda.is_available()
    if settings.device == "cuda" and not available:
        raise StageError(
            "device_unavailable",
            "device `cuda` was asked for, but torch sees no GPU here; "
            "use `auto` or `cpu`, or ask the scheduler for one",
        )
    device = torch.device("cuda" if settings.device != "cpu" and available else "cpu")
    if device.type == "cpu":
        keep_freed_memory()
    report.device = torch.cuda.get_device_name() if device.type == "cuda" else f"cpu x{torch.get_num_threads()}"
    return device


def keep_freed_memory() -> None:
    """Let the allocator keep what tensors free, rather than hand it back to the kernel and fault it in again.

    glibc raises its limits to the size of a large block once such a block was freed (mallopt(3),
    M_MMAP_THRESHOLD; at most 32 MiB). Activations of a few MiB come and go with every layer: without this a
    third of the time of decoding and segmenting goes into page faults. Other allocators take no notice.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)
