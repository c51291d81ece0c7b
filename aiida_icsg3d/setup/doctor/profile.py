"""The profile, its broker and daemon, and the disk it lies on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from aiida.manage import get_manager

from .finding import Finding, note, ok, wrong

LITTLE, VERY_LITTLE = 10e9, 1e9
"""Bytes on a disk below which a run may not fit, and will not."""


def look_at_profile(far: list[str]) -> Iterator[Finding]:
    """Yield what there is to say of the profile.

    :param far: computers that are reached through the broker.
    """
    manager = get_manager()
    profile = manager.get_profile()
    if profile is None:  # loaded by whoever asks
        yield wrong("profile", "none", "verdi presto --use-zeromq")
        return
    yield ok("profile", f"{profile.name}, {profile.storage_backend}")
    stored = profile.storage_config
    place = Path(stored.get("filepath") or str(stored.get("repository_uri", Path.home())).removeprefix("file://"))
    yield disk_finding("disk of the profile", shutil.disk_usage(existing(place)).free, str(place))
    yield from look_at_broker(profile.process_control_backend, far)


def look_at_broker(broker: str | None, far: list[str]) -> Iterator[Finding]:
    """Yield how broker and daemon are."""
    where = f"so {', '.join(far)} cannot be reached" if far else "runs go in the foreground only"
    if broker is None:
        finding = wrong if far else note
        yield finding("broker", f"none: nothing can be handed to a daemon, {where}",
                      "verdi profile configure-broker core.zeromq; then verdi daemon start")  # fmt: skip
        return
    client = get_manager().get_daemon_client()
    running = bool(client.is_daemon_running)
    if broker == "core.zeromq" and not running:
        finding = wrong if far else note
        yield finding("broker", f"{broker}: it runs with the daemon, which does not run; {where}", "verdi daemon start")
        return
    problem = reach_broker()
    if problem:
        todo = (
            "verdi daemon restart" if broker == "core.zeromq" else "start RabbitMQ, or `verdi profile configure-broker`"
        )
        yield wrong("broker", f"{broker} does not answer: {problem}", todo)
        return
    yield ok("broker", broker)
    if running:
        workers = len(client.get_worker_info().get("info", {}))
        yield ok("daemon", f"{workers} worker{'s' if workers != 1 else ''}")
    else:
        yield note("daemon", "not running: needed for --submit only", "verdi daemon start")


def reach_broker() -> str:
    """Return why the broker cannot be reached, empty where it can."""
    try:
        broker = get_manager().get_broker()
        if broker is None:
            return "the profile has none"
        broker.get_communicator()
    except Exception as exception:  # of whatever library the broker speaks through
        return str(exception) or type(exception).__name__
    return ""


def disk_finding(what: str, free: float, where: str) -> Finding:
    """Return how much space a disk has left."""
    words = f"{free / 1e9:.1f} GB free at {where}"
    if free < VERY_LITTLE:
        return wrong(what, words, "free some: fields of 10,000 crystals take several GB")
    return note(what, words, "little for runs of thousands of samples") if free < LITTLE else ok(what, words)


def existing(path: Path) -> Path:
    """Return the path, or the first folder above it that is there."""
    return next(folder for folder in (path, *path.parents) if folder.exists())
