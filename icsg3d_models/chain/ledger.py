"""What a chain has done already, so that a try after a kill goes on from there."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from ..networks.model_file import file_hash
from ..results import PROGRESS_FILE, results_of_stage, write_json
from ..settings import StageSettings

LEDGER_FILE = "chain_done.json"
HOW = ("batch_size", "threads")
"""Settings of which no result depends: a try with less memory goes on from one with more."""


class Ledger:
    """Stages that are done in a folder, with what they were made of and what they left.

    A stage counts as done where its settings and input files are the same as now, its files are there with the size
    that they had, and all stages before it are done, too.

    :param folder: of the chain.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries = read_ledger(folder)
        self.unbroken = True  # whether all stages so far were taken as they are

    def entry(self, settings: StageSettings) -> dict[str, Any]:
        """Return what decides the result of a stage: settings, and hashes of the files that it is given."""
        content = settings.model_dump(mode="json", exclude=set(HOW))
        given = [value for name, value in content.items() if name not in settings.outputs]
        names = [name for value in given for name in (value if isinstance(value, list) else [value])]
        files = {name for name in names if isinstance(name, str) and (self.folder / name).is_file()}
        # what an earlier stage wrote is decided by that stage, and may be gigabytes
        files -= {file for done in self.entries.values() for file in done["files"]}
        return {"settings": content, "inputs": {name: file_hash(self.folder / name) for name in sorted(files)}}

    def has(self, stage: str, settings: StageSettings) -> bool:
        """Tell whether a stage is done; if not, it and those after it count as not done from now on."""
        known = self.entries.get(stage)
        self.unbroken = bool(
            self.unbroken
            and known is not None
            and {name: known[name] for name in ("settings", "inputs")} == self.entry(settings)
            and all(size_of(self.folder / name) == size for name, size in known["files"].items())
        )
        if not self.unbroken:
            for name in self.entries.pop(stage, {}).get("files", {}):
                (self.folder / name).unlink(missing_ok=True)  # it may be one with a file of an earlier folder
        return self.unbroken

    def add(self, stage: str, settings: StageSettings) -> None:
        """Note that a stage is done, at once and for good."""
        written = [getattr(settings, name) for name in settings.outputs]
        files = {name: size_of(self.folder / name) for name in [*written, results_of_stage(stage)]}
        self.entries[stage] = {**self.entry(settings), "files": files}
        write_json(self.folder / LEDGER_FILE, self.entries)

    def take_over(self, earlier: Path) -> None:
        """Bring what an earlier try left, by hard links where the disk has them: its folder may be cleaned then.

        What is here already stays as it is.
        """
        if self.entries:
            return
        for stage, done in read_ledger(earlier).items():
            if any(size_of(earlier / name) != size for name, size in done["files"].items()):
                return
            for name in done["files"]:
                bring((earlier / name).resolve(), self.folder / name)
            self.entries[stage] = done
            write_json(self.folder / LEDGER_FILE, self.entries)
        if (earlier / PROGRESS_FILE).is_file() and not (self.folder / PROGRESS_FILE).exists():
            shutil.copyfile(earlier / PROGRESS_FILE, self.folder / PROGRESS_FILE)


def read_ledger(folder: Path) -> dict[str, dict[str, Any]]:
    """Return what is noted in a folder; nothing where there is no note, or one that cannot be read."""
    try:
        content = json.loads((folder / LEDGER_FILE).read_text(encoding="utf-8"))
        return {str(stage): {key: dict(done[key]) for key in ("settings", "inputs", "files")}
                for stage, done in content.items()}  # fmt: skip
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def size_of(path: Path) -> int | None:
    """Return the bytes of a file, None where it is not there."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def bring(source: Path, target: Path) -> None:
    """Put a file where it is needed without copying gigabytes, where the file system can."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
