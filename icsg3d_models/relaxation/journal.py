"""One line a crystal, on the disk as soon as the crystal is done, so that a rerun goes on where the last one ended."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ..results import StageError

FORMAT_VERSION = 1


class Journal:
    """The crystals that are done.

    :param path: a JSON-lines file; the first line says what run it belongs to.
    :param run: what decides the results: settings and hash of the crystals.
    :ivar done: id of a crystal -> its entry.
    :raises StageError: the file is of another run, of a newer release, or damaged other than in its last line.
    """

    def __init__(self, path: Path, run: dict[str, Any]) -> None:
        self.path, self.run = path, {"format_version": FORMAT_VERSION, **json.loads(json.dumps(run))}
        self.done: dict[str, dict[str, Any]] = {}
        if path.exists():
            self._read()
        else:
            self._append(self.run, "x")

    def add(self, name: str, entry: dict[str, Any]) -> None:
        """Write the entry of one crystal through to the disk."""
        self._append({"id": name, **entry}, "a")
        self.done[name] = {"id": name, **entry}

    def _append(self, content: dict[str, Any], mode: str) -> None:
        with open(self.path, mode, encoding="utf-8") as stream:
            stream.write(json.dumps(content, allow_nan=False) + "\n")
            stream.flush()
            os.fsync(stream.fileno())

    def _read(self) -> None:
        """Read what is there, and cut off a last line that a kill left unfinished."""
        raw = self.path.read_bytes()
        whole = raw[: raw.rfind(b"\n") + 1]
        lines = whole.splitlines()
        try:
            header, *entries = [json.loads(line) for line in lines] or [None]
            self.done = {entry["id"]: entry for entry in entries}
        except (ValueError, KeyError, TypeError) as exception:
            raise StageError(
                "input_unreadable", f"{self.path}: damaged ({exception}); remove it to start afresh"
            ) from exception
        if header is None:  # killed before the first line was whole
            self.path.unlink()
            self._append(self.run, "x")
            return
        if not isinstance(header, dict) or "format_version" not in header:
            raise StageError("input_unreadable", f"{self.path}: no journal of `icsg3d relax`; remove or rename it")
        differing = sorted(k for k in {*self.run, *header} if header.get(k) != self.run.get(k))
        if differing:
            raise StageError(
                "input_incompatible",
                f"{self.path}: of a run with another {', '.join(differing)}; remove it to start afresh, or run in "
                "another folder",
            )
        if len(whole) < len(raw):
            os.truncate(self.path, len(whole))
