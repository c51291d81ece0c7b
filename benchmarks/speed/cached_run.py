"""Measure what a run costs, and what the same run costs again when every job of it comes from AiiDA's cache.

    python benchmarks/speed/cached_run.py --samples 500 2000 --output docs/benchmarks/speed_cached.md
    python benchmarks/speed/cached_run.py --samples 10000 --one-job --output one_job.md

Sampling, segmentation, rebuilding and screening by the shipped models of the perovskites, without relaxations, in a
profile (SQLite) that is made for it and removed. Wall and processor time of AiiDA and of its programs are given, and
the longest time in which the worker answered nobody: a beat that is due ten times a second in its event loop came
that late.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import processor, table

from icsg3d_models.results import versions

COLUMNS = ["samples", "jobs", "run", "wall, s", "AiiDA's processor time, s", "programs' processor time, s",
           "the worker stood still, longest, s", "AiiDA's peak memory, MB", "crystals stored"]  # fmt: skip
EVERY = 0.1  # s
ELEMENTS = ["Pb", "Ti", "Mg", "Al", "O"]


class Beat:
    """A beat in the event loop of a worker.

    :ivar longest: seconds by which the latest of its beats was late.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop, self.longest, self.due = loop, 0.0, time.monotonic()
        self.handle = loop.call_later(EVERY, self.beat)

    def beat(self) -> None:
        """Note how late it is, and be due again."""
        now = time.monotonic()
        self.longest = max(self.longest, now - self.due - EVERY)
        self.due, self.handle = now, self.loop.call_later(EVERY, self.beat)

    def stop(self) -> float:
        """End it and return the longest standstill, that which lasts till now included."""
        self.handle.cancel()
        return max(self.longest, time.monotonic() - self.due - EVERY)


def seconds(who: int) -> float:
    """Return the processor time of this process, or of its children that have ended."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def make_profile(folder: Path) -> Any:
    """Make and load a profile and return its code of icsg3d on this machine.

    Its jobs run as children of a shell of this process, so that their processor time can be told.
    """
    from aiida import load_profile, orm
    from aiida.manage.configuration import create_profile, get_config

    storage = {"filepath": str(folder / "storage")}
    create_profile(get_config(create=True), storage_backend="core.sqlite_dos", storage_config=storage, name="cached",
                   email="cached@localhost")  # fmt: skip
    # without a broker a WorkChain looks for the end of what it called once a minute
    get_config().set_option("runner.poll.interval", 1, scope="cached")
    load_profile("cached", allow_switch=True)
    computer = orm.Computer("here", "localhost", transport_type="core.local", scheduler_type="core.direct",
                            workdir=str(folder / "scratch")).store()  # fmt: skip
    computer.configure(safe_interval=0, use_login_shell=False)
    computer.set_minimum_job_poll_interval(0)
    program = folder / "icsg3d"
    times = folder / "times"
    # processor time, user and system, of the shell itself and of its program, a line each; not behind a pipe, whose
    # other end is a shell of its own
    program.write_text(f'#!/bin/bash\n"{sys.executable}" -m icsg3d_models.cli "$@"\ncode=$?\n'
                       f'times >> "{times}"\nexit $code\n')  # fmt: skip
    program.chmod(0o755)
    return orm.InstalledCode(computer=computer, filepath_executable=str(program), label="icsg3d").store()


def program_seconds(folder: Path) -> float:
    """Return the processor time of all programs so far."""
    path = folder / "times"
    total = 0.0
    for line in path.read_text().splitlines() if path.exists() else []:
        for word in line.split():
            minutes, _, rest = word.rstrip("s").partition("m")
            total += 60 * float(minutes) + float(rest)
    return total


def run(folder: Path, code: Any, n_samples: int, one_job: bool) -> list[str]:
    """Run once and return the columns after the first three.

    :raises RuntimeError: the run did not end well.
    """
    from aiida.engine import run_get_node
    from aiida.manage import get_manager
    from aiida.orm import QueryBuilder, StructureData

    from aiida_icsg3d.data.pretrained import pretrained_fingerprint, pretrained_models
    from aiida_icsg3d.workflows.discover import DiscoverWorkChain

    builder = DiscoverWorkChain.get_builder_from_protocol(
        {"icsg3d": code}, models=pretrained_models("perov5"), reference=pretrained_fingerprint("perov5"),
        elements=ELEMENTS, n_samples=n_samples, n_relaxations=0, prerelax=False, one_job=one_job,
    )  # fmt: skip
    before = QueryBuilder().append(StructureData).count()
    start, own, others = time.monotonic(), seconds(resource.RUSAGE_SELF), program_seconds(folder)
    beat = Beat(get_manager().get_runner().loop)
    _, node = run_get_node(builder)
    still = beat.stop()
    wall, own = time.monotonic() - start, seconds(resource.RUSAGE_SELF) - own
    if not node.is_finished_ok:
        raise RuntimeError(f"the run ended with {node.exit_status}: {node.exit_message}")
    stored = QueryBuilder().append(StructureData).count() - before
    return [f"{wall:.1f}", f"{own:.1f}", f"{program_seconds(folder) - others:.1f}", f"{still:.1f}",
            f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}", f"{stored:,}"]  # fmt: skip


def measure(folder: Path, counts: list[int], one_job: bool) -> list[list[str]]:
    """Return the rows of the table: each run, and the same again."""
    from aiida.manage.caching import enable_caching

    code = make_profile(folder)
    rows = []
    for count in counts:
        for name in ("first", "again"):
            with enable_caching():
                rows.append([f"{count:,}", "1" if one_job else "4", name, *run(folder, code, count, one_job)])
            print(" ".join(rows[-1]), file=sys.stderr)
    return rows


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, nargs="+", default=[500, 2000])
    parser.add_argument("--one-job", action="store_true", help="one job for all stages; default: a job each")
    parser.add_argument("--output", type=Path, required=True, help="the Markdown page to write")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    os.environ["AIIDA_PATH"] = str(folder)
    load = os.getloadavg()[0]
    try:
        rows = measure(folder, arguments.samples, arguments.one_job)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    installed = ", ".join(f"{name} {version}" for name, version in versions().items())
    lines = [
        "# What a run costs, and the same run again from the cache",
        "",
        f"{processor()}, {os.cpu_count()} cores; load average {load:.1f} at the beginning, which lengthens wall times. "
        f"Versions: {installed}.",
        "",
        *table(COLUMNS, rows),
        "",
        f"`python benchmarks/speed/cached_run.py {' '.join(sys.argv[1:])}`",
    ]
    arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
