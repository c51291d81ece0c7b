"""``icsg3d STAGE settings.json``: run one stage in the current directory."""

from __future__ import annotations

import argparse
import errno
import importlib
import json
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticUndefined

from . import __version__
from .crystals.batch import CrystalError
from .networks.model_file import ModelFileError
from .results import Report, StageError
from .settings import STAGES, StageSettings

# stage -> module with a function run(settings, report)
MODULES = {
    "prepare": "icsg3d_models.data.prepare",
    "train": "icsg3d_models.training.train",
    "sample": "icsg3d_models.generation.sample",
    "segment": "icsg3d_models.generation.segment",
    "rebuild": "icsg3d_models.generation.rebuild",
    "screen": "icsg3d_models.screening.screen",
    "evaluate": "icsg3d_models.evaluation.evaluate",
}


def describe(settings: type[StageSettings]) -> str:
    """Return the settings of a stage as a table for ``--help``."""
    lines = [(settings.__doc__ or "").strip(), "", "settings.json takes:"]
    for name, info in settings.model_fields.items():
        if info.default is PydanticUndefined:
            default = "required"
        elif hasattr(info.default, "model_dump_json"):
            default = info.default.model_dump_json()
        else:
            default = json.dumps(info.default)
        lines.append(f"  {name}  ({default})")
        if info.description:
            lines.append(f"      {info.description}")
    return "\n".join(lines)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the ``icsg3d`` command."""
    parser = argparse.ArgumentParser(
        prog="icsg3d",
        description="Crystals as voxel fields: prepare data, train, sample, segment, rebuild, screen, evaluate.",
        epilog="Every stage runs in the current directory, reads its settings from one JSON file and leaves "
        "results.json (status, counts, versions) and progress.jsonl. `icsg3d STAGE --help` lists the settings.",
    )
    parser.add_argument("--version", action="version", version=f"icsg3d {__version__}")
    stages = parser.add_subparsers(dest="stage", required=True, metavar="STAGE")
    for name, settings in STAGES.items():
        stage = stages.add_parser(
            name,
            help=(settings.__doc__ or "").strip().splitlines()[0],
            description=describe(settings),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        stage.add_argument("settings", type=Path, help="JSON file with the settings")
    return parser


def read_settings(stage: str, path: Path) -> StageSettings:
    """Return the validated settings of a stage.

    :raises StageError: the file is missing, no JSON, or has unknown or unacceptable values.
    """
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StageError("input_missing", f"{path}: no such file; see `icsg3d {stage} --help`") from None
    except ValueError as exception:
        raise StageError("settings_rejected", f"{path}: not valid JSON ({exception})") from None
    try:
        return STAGES[stage].model_validate(content)
    except ValidationError as exception:
        problems = "; ".join(
            f"{'.'.join(str(p) for p in e['loc']) or 'settings'}: {e['msg']}"
            + ("" if e["type"] == "missing" else f" (received {json.dumps(e['input'], default=str)[:80]})")
            for e in exception.errors()
        )
        known = ", ".join(STAGES[stage].model_fields)
        raise StageError("settings_rejected", f"{path}: {problems}. Accepted keys: {known}") from None


def classify(exception: BaseException) -> tuple[str, str]:
    """Return the status and message of an exception that ended a stage."""
    message = str(exception)
    if isinstance(exception, StageError):
        return exception.status, message
    if isinstance(exception, ModelFileError | CrystalError):
        return "input_unreadable", message
    if isinstance(exception, FileNotFoundError):
        return "input_missing", f"{exception.filename or message}: no such file"
    if isinstance(exception, OSError) and exception.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            "disk_full",
            f"no space left on the device while writing {exception.filename or 'a file'}; free some and restart",
        )
    if isinstance(exception, MemoryError) or type(exception).__name__ == "OutOfMemoryError":
        return "out_of_memory", "memory ran out; lower `batch_size`"
    if isinstance(exception, KeyboardInterrupt):
        return "interrupted", "ended by a signal"
    return "failed", f"{type(exception).__name__}: {message}"


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    """Turn SIGTERM into the KeyboardInterrupt that the stages clean up after."""
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0 where the status is `completed`, else 1."""
    options = build_parser().parse_args(arguments)
    report = Report(options.stage, Path.cwd())
    signal.signal(signal.SIGTERM, _terminate)
    try:
        settings = read_settings(options.stage, options.settings)
        report.seed = settings.seed
        importlib.import_module(MODULES[options.stage]).run(settings, report)
        status, message = "completed", ""
    except (Exception, KeyboardInterrupt) as exception:
        status, message = classify(exception)
        if status == "failed":
            traceback.print_exc()
    try:
        report.write(status, message)
    except OSError as exception:
        print(f"icsg3d {options.stage}: cannot write results.json: {exception}", file=sys.stderr)
        return 1
    counts = ", ".join(f"{k} {v}" for k, v in report.counts.items())
    print(
        f"icsg3d {options.stage}: {status}" + (f" ({counts})" if counts else "") + (f"\n{message}" if message else ""),
        file=sys.stderr if message else sys.stdout,
    )
    return 0 if status == "completed" else 1


if __name__ == "__main__":
    sys.exit(main())
