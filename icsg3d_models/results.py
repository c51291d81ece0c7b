"""What every stage leaves behind: ``results.json`` and ``progress.jsonl``.

The AiiDA parsers read these two files and nothing else of a stage's bookkeeping; ``STATUSES`` is the
closed list that they map to exit codes.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import resource
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FORMAT_VERSION = 1
RESULTS_FILE = "results.json"
PROGRESS_FILE = "progress.jsonl"

STATUSES = {
    "completed": "the stage did all that was asked",
    "settings_rejected": "the settings are not valid",
    "input_missing": "an input file is not there",
    "input_unreadable": "an input file is damaged, foreign or of an unknown version",
    "input_incompatible": "the inputs do not fit together (elements, grid, network)",
    "out_of_memory": "memory of the host or of the device ran out",
    "device_unavailable": "the device asked for is not there",
    "disk_full": "no space left where the stage writes",
    "interrupted": "a signal ended the stage; a checkpoint is there if one was written",
    "walltime": "the deadline came first; a valid checkpoint is there",
    "loss_not_finite": "training diverged",
    "nothing_rebuilt": "no sample could be rebuilt into a crystal",
    "nothing_relaxed": "no crystal could be relaxed",
    "nothing_valid": "no candidate passed the screening",
    "failed": "an error nobody foresaw; see the traceback in the standard error",
}


class StageError(Exception):
    """Ends a stage with a status of :data:`STATUSES` and a message for the user."""

    def __init__(self, status: str, message: str) -> None:
        if status not in STATUSES:
            raise ValueError(f"unknown status {status!r}; known are {', '.join(STATUSES)}")
        super().__init__(message)
        self.status = status


@dataclass
class Report:
    """Collects what a stage has to say; the command line writes it as ``results.json``.

    :param stage: name of the subcommand.
    :param directory: where results and progress are written.
    """

    stage: str
    directory: Path
    seed: int = 0
    device: str = "cpu"
    counts: dict[str, int] = field(default_factory=dict)
    scalars: dict[str, float] = field(default_factory=dict)
    tables: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    quiet: bool = False

    @property
    def elapsed(self) -> float:
        """Seconds since the stage began."""
        return time.monotonic() - self.started

    def progress(self, done: int, total: int, **values: float | str) -> None:
        """Append one line to ``progress.jsonl`` and, on a terminal, show it."""
        line = {
            "stage": self.stage,
            "done": done,
            "total": total,
            "elapsed": round(self.elapsed, 3),
            **values,
        }
        with open(self.directory / PROGRESS_FILE, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
        if sys.stderr.isatty() and not self.quiet:
            left = self.elapsed / max(done, 1) * (total - done)
            extra = " ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in values.items())
            end = "\n" if done >= total else ""
            print(
                f"\r\033[K{self.stage} {done}/{total}  {self.elapsed:.0f} s, {left:.0f} s left  {extra}",
                end=end,
                file=sys.stderr,
                flush=True,
            )

    def write(self, status: str, message: str = "") -> dict[str, Any]:
        """Write ``results.json`` atomically and return its content."""
        content = {
            "format_version": FORMAT_VERSION,
            "stage": self.stage,
            "status": status,
            "message": message,
            "counts": self.counts,
            "scalars": self.scalars,
            "tables": self.tables,
            "inputs": self.inputs,
            "seed": self.seed,
            "device": self.device,
            "versions": versions(),
            "wall_time_seconds": round(self.elapsed, 3),
            "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
        write_json(self.directory / RESULTS_FILE, content)
        return content


def write_json(path: Path, content: Any) -> None:
    """Write JSON to ``path`` so that a reader sees the old file or the whole new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(content, indent=1, allow_nan=True) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def versions() -> dict[str, str]:
    """Return the versions that decide a result, as far as installed."""
    found = {"python": platform.python_version()}
    for name in ("aiida-icsg3d", "torch", "numpy", "pymatgen", "gemmi", "smact", "spglib", "scikit-image"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
