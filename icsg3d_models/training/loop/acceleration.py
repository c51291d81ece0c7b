"""Faster arithmetic where it is asked for: half precision, TF32 and compiled networks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import nn

from ...results import StageError
from ...settings import TrainSettings


def precision(settings: TrainSettings, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which a loss is computed; weights, their average and the optimiser stay in float32.

    :raises StageError: TF32 on another device than a GPU.
    """
    if settings.precision == "bfloat16":
        return torch.autocast(device.type, torch.bfloat16)
    if settings.precision == "tf32":
        if device.type != "cuda":
            raise StageError(
                "settings_rejected",
                f"`precision` tf32 is a format of NVIDIA GPUs, the device is {device.type}; take float32 or bfloat16",
            )
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
    return nullcontext()


@contextmanager
def compiled(module: nn.Module, names: tuple[str, ...], wanted: bool) -> Iterator[None]:
    """Compile methods of a network for the time of its training; its state_dict stays as it is.

    :param names: the methods that do the work.
    :raises StageError: there is no compiler.
    """
    if not wanted:
        yield
        return
    compilers = (os.environ.get("CXX"), "g++", "clang++")
    if not any(name and shutil.which(name) for name in compilers):
        raise StageError(
            "settings_rejected",
            "`compile` needs a C++ compiler (g++ or clang++, or the one of CXX), and there is none; leave it out",
        )
    for name in names:
        setattr(module, name, torch.compile(getattr(module, name)))
    try:
        yield
    finally:
        for name in names:
            delattr(module, name)
