"""The one table that maps what a stage says of itself to an exit code.

2xx: inputs. 30x: outputs missing or unreadable. 32x: settings rejected by the program. 33x: device.
34x: interrupted. 39x: unforeseen. 4xx: reproducible results of the run. What is below 400 is not reused
by caching.
"""

from __future__ import annotations

from typing import Any

from aiida.engine import ExitCode
from aiida.engine.processes.exit_code import ExitCodesNamespace

STATUS_EXIT_CODES: dict[str, tuple[int, str]] = {
    "completed": (0, ""),
    "input_missing": (210, "ERROR_INPUT_MISSING"),
    "input_unreadable": (211, "ERROR_INPUT_UNREADABLE"),
    "input_incompatible": (212, "ERROR_INPUT_INCOMPATIBLE"),
    "settings_rejected": (320, "ERROR_SETTINGS_REJECTED"),
    "device_unavailable": (330, "ERROR_DEVICE_UNAVAILABLE"),
    "out_of_memory": (331, "ERROR_OUT_OF_MEMORY"),
    "disk_full": (332, "ERROR_DISK_FULL"),
    "interrupted": (340, "ERROR_INTERRUPTED"),
    "failed": (390, "ERROR_STAGE_FAILED"),
    "walltime": (400, "ERROR_WALLTIME"),
    "loss_not_finite": (411, "ERROR_LOSS_NOT_FINITE"),
    "nothing_rebuilt": (420, "ERROR_NOTHING_REBUILT"),
    "nothing_valid": (421, "ERROR_NOTHING_VALID"),
}
"""Status of ``results.json`` -> exit status and label; the message is the stage's own."""

OUTPUT_EXIT_CODES: tuple[tuple[int, str, str], ...] = (
    (301, "ERROR_RESULTS_MISSING", "no results.json: the job was killed or never began; see its standard error"),
    (302, "ERROR_RESULTS_UNREADABLE", "results.json cannot be used: {message}"),
    (303, "ERROR_OUTPUT_MISSING", "the stage says that it completed, but {message} is not among the retrieved files"),
    (304, "ERROR_OUTPUT_UNREADABLE", "an output file cannot be used: {message}"),
)


def define_exit_codes(spec: Any) -> None:
    """Declare every exit code of a stage on a process spec."""
    for status, label, message in OUTPUT_EXIT_CODES:
        spec.exit_code(status, label, message=message, invalidates_cache=True)
    for status, label in STATUS_EXIT_CODES.values():
        if status:
            spec.exit_code(status, label, message="{message}", invalidates_cache=status < 400)


def exit_code_of(exit_codes: ExitCodesNamespace, status: str, message: str) -> ExitCode:
    """Return the exit code of a status, with the message of the stage.

    :param status: a word of :data:`icsg3d_models.results.STATUSES`.
    """
    number, label = STATUS_EXIT_CODES[status]
    if number == 0:
        return ExitCode(0)
    return exit_codes[label].format(message=message or status)
