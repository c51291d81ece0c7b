"""What every stage leaves behind: ``results.json`` and ``progress.jsonl``.

The AiiDA parsers read these two files and nothing else of a stage's bookkeeping; ``STATUSES`` is the
closed list that they map to exit codes.
"""

from __future__ import annotations

import errno
import importlib.metadata
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Mapping
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
    note: str = ""
    """What a stage that completed has to say beside its figures; the message of results.json."""
    file: str = RESULTS_FILE
    """Name of the results; a stage of a chain has its own."""
    silent: bool = False
    """Whether another process writes the files: one of a team does."""
    _bar: Any = field(default=None, repr=False)

    @property
    def elapsed(self) -> float:
        """Seconds since the stage began."""
        return time.monotonic() - self.started

    def progress(self, done: int, total: int, **values: float | str) -> None:
        """Append one line to ``progress.jsonl`` and, on a terminal, show it."""
        if self.silent:
            return
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
            self._show(done, total, values)

    def _show(self, done: int, total: int, values: dict[str, float | str]) -> None:
        """Draw the line of a terminal: a bar, the time it took and has left, and the values."""
        from tqdm import tqdm  # not needed where no one looks

        if self._bar is None or self._bar.total != total or done < self._bar.n:
            tqdm.monitor_interval = 0  # no thread beside the stage: some of them fork
            self._bar = tqdm(total=total, desc=self.stage, file=sys.stderr, dynamic_ncols=True, mininterval=0)
        words = (f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in values.items())
        self._bar.set_postfix_str(" ".join(words), refresh=False)
        self._bar.update(done - self._bar.n)
        if done >= total:
            self._bar.close()

    def leave_out(self, where: str, total: int, problems: Mapping[str, str | None]) -> None:
        """Record crystals that are left out while the others are used, and say so.

        :param where: the file, or the figures, that they are left out of.
        :param total: how many there are with them.
        :param problems: id -> why it is left out, None for those that are not.
        """
        found = [{"id": name, "where": where, "reason": why} for name, why in problems.items() if why is not None]
        if not found:
            return
        self.tables.setdefault("left_out", []).extend(found)
        shown = "; ".join(f"{entry['id']}: {entry['reason']}" for entry in found[:3]) + ("; ..." if found[3:] else "")
        self.warn(f"{where}: {len(found)} of {total} crystals left out: {shown}")

    def warn(self, words: str) -> None:
        """Note something that a user should know, and say it."""
        self.tables.setdefault("notes", []).append(words)
        print(f"warning: {words}", file=sys.stderr)

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
        if not self.silent:
            write_json(self.directory / self.file, content)
        return content


def results_of_stage(stage: str) -> str:
    """Return the name of the results of one stage of a chain; those of the chain itself are :data:`RESULTS_FILE`."""
    return f"results_{stage}.json"


def try_outputs(directory: Path, files: Mapping[str, str | None], folders: Mapping[str, str] | None = None) -> None:
    """Try to write where a stage will write, so that no work is done in vain.

    :param files: setting -> path relative to the directory, None where nothing is written.
    :param folders: the same of folders, which are made where they are not there.
    :raises StageError: an output cannot be written.
    """
    folders = folders or {}
    for name, path in {**files, **folders}.items():
        if path is None:
            continue
        target = directory / path
        try:
            if name in folders:
                target.mkdir(parents=True, exist_ok=True)
                trial = target / f".try.{os.getpid()}"
            elif target.is_dir():
                raise IsADirectoryError(errno.EISDIR, "it is a folder, where a file is to be written")
            else:
                trial = target.with_name(f".{target.name}.try.{os.getpid()}")
            trial.touch()
            trial.unlink()
        except OSError as exception:
            if exception.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            reason = os.strerror(exception.errno or 0).lower() if exception.filename else exception.strerror
            raise StageError("settings_rejected", f"`{name}`: {path} cannot be written ({reason})") from None


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
