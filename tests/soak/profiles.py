"""A profile of its own in processes of its own: its configuration, its daemon, its home."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
NAME = "soak"


class Profile:
    """A profile that only commands of its own see.

    :param folder: for its configuration and repository; made here.
    :param variables: beside the environment of the tests.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        folder.mkdir()
        path = f"{BIN}:{os.environ.get('PATH', '')}"
        self.environment = {
            **os.environ,
            "AIIDA_PATH": str(folder),
            "PATH": path,
            "PYTHONPATH": str(ROOT),
            **(variables or {}),
        }

    def run(self, *command: Any, seconds: float = 300) -> str:
        """Run a command and return what it says.

        :raises AssertionError: it fails; with what it said.
        """
        done = subprocess.run(
            [str(word) for word in command], env=self.environment, cwd=ROOT, capture_output=True, text=True,
            timeout=seconds, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def set_up(self, storage: str, *options: Any, broker: str) -> None:
        """Make the profile."""
        who = ["--email", "soak@localhost", "--first-name", "S", "--last-name", "S", "--institution", "S"]
        self.run("verdi", "profile", "setup", storage, "-n", "-p", NAME, "--set-as-default", *who, *options,
                 "--broker", broker)  # fmt: skip

    @contextmanager
    def daemon(self) -> Iterator[None]:
        """Run the daemon as long as the block lasts."""
        self.run("verdi", "daemon", "start", "1")
        try:
            yield
        finally:
            self.end_daemon()

    def end_daemon(self) -> None:
        """End the daemon with its workers; on a busy machine `verdi daemon stop` gives up before they have ended."""
        (file,) = self.folder.rglob(f"circus-{NAME}.pid")
        circus = psutil.Process(int(file.read_text()))
        processes = [circus, *circus.children(recursive=True)]
        subprocess.run(["verdi", "daemon", "stop"], env=self.environment, capture_output=True, timeout=300)
        _, alive = psutil.wait_procs(processes, timeout=60)
        for process in alive:
            process.kill()

    def submit(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Submit a run by :mod:`tests.soak.submit`, wait for its end, and return what became of it."""
        file, answer = self.folder / "request.json", self.folder / "answer.json"
        file.write_text(json.dumps(dict(request)))
        self.run("verdi", "run", ROOT / "tests" / "soak" / "submit.py", file, answer,
                 seconds=request.get("patience", 500) + 100)  # fmt: skip
        found: dict[str, Any] = json.loads(answer.read_text())
        return found
