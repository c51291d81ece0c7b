"""``icsg3d --probe``: what this installation is and what it can compute on, as one line of JSON."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import re
from typing import Any

from .. import __version__
from ..results import versions

DISTRIBUTION, EXTRA = "aiida-icsg3d", "models"
POTENTIALS = {"7net-0": "sevenn", "chgnet": "chgnet"}
"""Potential whose weights come with a package -> that package."""


class Probe(argparse.Action):
    """Print what is here and end, as ``--version`` does."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, nargs=0)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Print one line of JSON."""
        print(json.dumps(look()))
        parser.exit(0)


def look() -> dict[str, Any]:
    """Return version, versions of what it uses, packages that are missing, device and cores.

    ``device`` is that which `auto` takes: the name of a GPU or `cpu`; None, with ``problem``, where torch cannot be
    loaded.
    """
    found: dict[str, Any] = {"version": __version__, "versions": versions(), "missing": missing(), "device": None,
                             "gpus": [], "cores": usable_cores(), "potentials": potentials()}  # fmt: skip
    try:
        import torch
    except (ImportError, OSError) as exception:  # not there, or one of its libraries is not
        return found | {"problem": str(exception).splitlines()[0]}
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    gpus = [torch.cuda.get_device_name(index) for index in range(count)]
    return found | {"device": gpus[0] if gpus else "cpu", "gpus": gpus}


def potentials() -> list[str]:
    """Return the potentials of known name whose packages are installed."""
    return [name for name, distribution in POTENTIALS.items() if installed(distribution)]


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def missing() -> list[str]:
    """Return the packages of the extra that this installation lacks."""
    try:
        wanted = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    names = [re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0] for text in wanted if f'extra == "{EXTRA}"' in
             text.replace("'", '"')]  # fmt: skip
    return [name for name in names if not installed(name)]


def installed(name: str) -> bool:
    """Tell whether a package is installed."""
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
