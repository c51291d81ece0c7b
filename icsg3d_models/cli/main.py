"""The command: settings in, stage run, results.json out."""

from __future__ import annotations

import importlib
import json
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType

from ..endings import classify
from ..results import RESULTS_FILE, Report, StageError, try_outputs
from .arguments import Places, parse
from .settings_file import all_settings, read_file, validated, with_options

# stage -> module with a function run(settings, report)
MODULES = {
    "prepare": "icsg3d_models.data.prepare",
    "train": "icsg3d_models.training.train",
    "sample": "icsg3d_models.generation.sample",
    "segment": "icsg3d_models.generation.segment",
    "rebuild": "icsg3d_models.generation.rebuild",
    "predict": "icsg3d_models.prediction.predict",
    "relax": "icsg3d_models.relaxation.relax",
    "screen": "icsg3d_models.screening.screen",
    "chain": "icsg3d_models.chain.chain",
    "evaluate": "icsg3d_models.evaluation.evaluate",
}


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    """Turn SIGTERM into the KeyboardInterrupt that the stages clean up after."""
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0 where the status is `completed`, else 1."""
    options, places, given = parse(sys.argv[1:] if arguments is None else arguments)
    stage, path = options.stage, options.settings
    if options.print_settings:
        return print_settings(stage, path, places, given)
    report = Report(stage, Path.cwd())
    signal.signal(signal.SIGTERM, _terminate)
    try:
        try_outputs(report.directory, {"results": RESULTS_FILE})
        content = with_options(read_file(stage, path) if path else {}, places, given)
        settings = validated(stage, content, str(path) if path and not given else "settings")
        report.seed = settings.seed
        files, folders = (
            {name: getattr(settings, name) for name in names} for names in (settings.outputs, settings.output_folders)
        )
        try_outputs(report.directory, files, folders)
        importlib.import_module(MODULES[stage]).run(settings, report)
        status, message = "completed", report.note
    except (Exception, KeyboardInterrupt) as exception:
        status, message = classify(exception)
        if status == "failed":
            traceback.print_exc()
    try:
        report.write(status, message)
    except OSError as exception:
        print(f"icsg3d {stage}: cannot write results.json: {exception}", file=sys.stderr)
        return 1
    if report.silent:  # another process speaks for all
        return 0 if status == "completed" else 1
    counts = ", ".join(f"{k} {v}" for k, v in report.counts.items())
    print(
        f"icsg3d {stage}: {status}" + (f" ({counts})" if counts else "") + (f"\n{message}" if message else ""),
        file=sys.stderr if message else sys.stdout,
    )
    return 0 if status == "completed" else 1


def print_settings(stage: str, path: Path | None, places: Places, given: dict[str, list[str]]) -> int:
    """Print all settings of a stage as a settings file, with what is given above the defaults."""
    try:
        content = with_options(read_file(stage, path) if path else {}, places, given)
        found, missing = all_settings(stage, content)
    except StageError as exception:
        print(f"icsg3d {stage}: {exception}", file=sys.stderr)
        return 1
    print(json.dumps(found, indent=1, ensure_ascii=False))
    if missing:
        print(f"icsg3d {stage}: still to be given: {', '.join(missing)}", file=sys.stderr)
    return 0
