"""SSSP from the Materials Cloud Archive, where a network answers."""

from __future__ import annotations

import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

ARCHIVE = "https://archive.materialscloud.org/"
ANSWER_SECONDS = 4.0
"""How long the archive may take to answer before it counts as out of reach."""
DOWNLOAD_SECONDS = 180.0


class DownloadError(RuntimeError):
    """SSSP could not be had from the network."""


def answers(url: str = ARCHIVE, seconds: float = ANSWER_SECONDS) -> bool:
    """Whether an HTTP server answers within a time, whatever it says.

    Looking a name up has no timeout of its own, so the question is asked in a thread that may be left behind.
    """
    heard = threading.Event()

    def ask() -> None:
        request = urllib.request.Request(url, method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=seconds):
                heard.set()
        except urllib.error.HTTPError:
            heard.set()  # an error page is an answer
        except (OSError, ValueError):
            return

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return heard.is_set()


def download_sssp(say: Callable[[str], None], url: str = ARCHIVE, command: list[str] | None = None) -> str:
    """Install SSSP with aiida-pseudo into the loaded profile and return the label of the family.

    :param say: takes one line about what is done.
    :param url: the server that must answer first.
    :param command: what installs it; default: ``aiida-pseudo install sssp`` of this Python.
    :raises DownloadError: the archive does not answer, or the installation fails.
    """
    from aiida.manage import get_manager

    if not answers(url):
        raise DownloadError(f"{url} did not answer within {ANSWER_SECONDS:g} s")
    profile = get_manager().get_profile()
    if profile is None:
        raise DownloadError("no AiiDA profile is loaded")
    version, functional, protocol = "1.3", "PBE", "efficiency"
    say(f"downloading SSSP {version} {functional} {protocol}")
    command = command or [
        str(Path(sys.executable).with_name("aiida-pseudo")), "-p", profile.name,
        "install", "sssp", "-v", version, "-x", functional, "-p", protocol,
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as exception:
        raise DownloadError(str(exception)) from exception
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise DownloadError(lines[-1] if lines else f"`{' '.join(command)}` ended with {done.returncode}")
    return f"SSSP/{version}/{functional}/{protocol}"
