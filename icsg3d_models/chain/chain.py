"""Stage ``chain``: sample, segment, rebuild and screen, as one job that waits in a queue once."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import Any

from ..endings import classify
from ..generation import rebuild, sample, segment
from ..results import Report, StageError, results_of_stage, try_outputs
from ..screening import screen
from ..settings import ChainSettings
from .ledger import Ledger

RUN: dict[str, Callable[[Any, Report], None]] = {
    "sample": sample.run,
    "segment": segment.run,
    "rebuild": rebuild.run,
    "screen": screen.run,
}


def run(settings: ChainSettings, report: Report) -> None:
    """Run the stages that are not done yet; each leaves its results, and the chain those of all together.

    :raises StageError: as the stage that ended the chain did, with its name before the words.
    """
    folder = report.directory
    for name, part in settings.stages:
        try_outputs(folder, {f"{name}.{setting}": getattr(part, setting) for setting in part.outputs})
    ledger = Ledger(folder)
    if settings.resume_from is not None:
        if not (folder / settings.resume_from).is_dir():
            report.warn(f"{settings.resume_from}: no such folder; the chain begins with its first stage")
        ledger.take_over(folder / settings.resume_from)
    report.tables["stages"] = {}
    for name, part in settings.stages:
        if ledger.has(name, part):
            report.tables["stages"][name] = {"status": "completed", "kept": True, "wall_time_seconds": 0.0}
            print(f"icsg3d {name}: done before", file=sys.stderr)
            continue
        own = Report(name, folder, seed=part.seed, quiet=report.quiet, file=results_of_stage(name))
        try:
            RUN[name](part, own)
        except (Exception, KeyboardInterrupt) as exception:
            status, message = classify(exception)
            add(report, own, status, message)
            if status == "failed":
                traceback.print_exc()
            raise StageError(status, f"{name}: {message}") from exception
        add(report, own, "completed", own.note)
        ledger.add(name, part)


def add(report: Report, own: Report, status: str, message: str) -> None:
    """Write the results of a stage, and put them into those of the chain."""
    content = own.write(status, message)
    report.device = own.device
    report.counts.update(own.counts)
    report.inputs.update({f"{own.stage}:{name}": digest for name, digest in own.inputs.items()})
    report.tables["stages"][own.stage] = {
        "status": status, "kept": False, "wall_time_seconds": content["wall_time_seconds"],
    }  # fmt: skip
