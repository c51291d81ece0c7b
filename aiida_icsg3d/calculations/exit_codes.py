"""Every exit code of this plugin, of jobs and of WorkChains: one number for one meaning.

132: the scheduler refuses the job. 2xx: inputs. 30x: outputs missing or unreadable. 32x: settings rejected by the
program. 33x: device. 34x: interrupted. 39x: unforeseen. 40x and 41x: results of a training. 42x: nothing came out.
43x and 440: a job failed that a WorkChain cannot do without. 44x: the training of a network did. 45x: a WorkChain did.
What is below 400 is not reused by caching. A new meaning takes a free number; a number is never written over, since
nodes are stored with it: a number that is no longer used moves to :data:`RETIRED`. 301, 302, 401 and 402 of a WorkChain
that restarts its job are AiiDA's own.
"""

from __future__ import annotations

from typing import Any

from aiida.engine import ExitCode
from aiida.engine.processes.exit_code import ExitCodesNamespace
from aiida.orm import ProcessNode

from ..schedulers.slurm import SCHEDULER_REFUSED

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
    "nothing_relaxed": (422, "ERROR_ALL_RELAXATIONS_FAILED"),
}
"""Status of ``results.json`` -> exit status and label; the message is the stage's own."""

OUTPUT_EXIT_CODES: tuple[tuple[int, str, str], ...] = (
    (SCHEDULER_REFUSED, "ERROR_SCHEDULER_REFUSED", "the scheduler refuses the job"),
    (301, "ERROR_RESULTS_MISSING", "no results.json: the job was killed or never began; see its standard error"),
    (302, "ERROR_RESULTS_UNREADABLE", "results.json cannot be used: {message}"),
    (303, "ERROR_OUTPUT_MISSING", "the stage says that it completed, but {message} is not among the retrieved files"),
    (304, "ERROR_OUTPUT_UNREADABLE", "an output file cannot be used: {message}"),
)

_ENDED = "{label}<{pk}>, ended with exit status {status}: {message}"
WORKCHAIN_EXIT_CODES: dict[str, tuple[int, str]] = {
    "ERROR_PSEUDO_FAMILY": (202, "the pseudopotential family cannot be used: {reason}"),
    "ERROR_SETTINGS_DIFFER": (203, "{reason}"),
    "ERROR_NOT_RELAXED": (204, "{reason}"),
    "ERROR_DIVERGED": (
        410,
        "training diverged {count} times, the last time with learning rate {rate:.2g}; look at the data (outliers "
        "among the targets) or lower `optimiser.learning_rate` further",
    ),
    "ERROR_OUT_OF_MEMORY_AT_SMALLEST_BATCH": (
        412, "memory ran out even with batch size {batch_size}; use a machine with more memory",
    ),
    "ERROR_NO_PROGRESS": (
        413, "the wall time ended two runs in a row at the same epoch; raise `max_wallclock_seconds`",
    ),
    "ERROR_NOTHING_REBUILT": (420, "no crystal came out of {label}<{pk}>: {message}"),
    "ERROR_NOTHING_VALID": (421, "no crystal passed the screening: {message}"),
    "ERROR_ALL_RELAXATIONS_FAILED": (422, "none of the {count} relaxations succeeded; first: {reason}"),
    "ERROR_PREPARE_FAILED": (430, f"the stage prepare, {_ENDED}"),
    "ERROR_SAMPLE_FAILED": (431, f"the stage sample, {_ENDED}"),
    "ERROR_SEGMENT_FAILED": (432, f"the stage segment, {_ENDED}"),
    "ERROR_REBUILD_FAILED": (433, f"the stage rebuild, {_ENDED}"),
    "ERROR_SCREEN_FAILED": (434, f"the stage screen, {_ENDED}"),
    "ERROR_EVALUATE_FAILED": (435, f"the stage evaluate, {_ENDED}"),
    "ERROR_RELAX_FAILED": (436, f"the stage relax, {_ENDED}"),
    "ERROR_JOB_FAILED": (437, _ENDED),
    "ERROR_JOB_GIVEN_UP": (438, f"given up after {{count}} tries; the last, {_ENDED}"),
    "ERROR_STAGE_BEFORE_GONE": (439, f"{_ENDED}; the stage before has to run again"),
    "ERROR_CHAIN_FAILED": (440, f"the job of all stages, {_ENDED}"),
    "ERROR_UNET_FAILED": (441, f"the training of the unet, {_ENDED}"),
    "ERROR_VAE_FAILED": (442, f"the training of the vae, {_ENDED}"),
    "ERROR_PRIOR_FAILED": (443, f"the training of the prior, {_ENDED}"),
    "ERROR_CGCNN_FAILED": (444, f"the training of the cgcnn, {_ENDED}"),
    "ERROR_VOXELNET_FAILED": (445, f"the training of the voxelnet, {_ENDED}"),
    "ERROR_TRAIN_FAILED": (451, f"the stage train, {_ENDED}"),
    "ERROR_GENERATE_FAILED": (452, f"the stage generate, {_ENDED}"),
    "ERROR_VALIDATE_FAILED": (453, f"the stage validate, {_ENDED}"),
    "ERROR_REFERENCES_FAILED": (454, f"the stage references, {_ENDED}"),
    "ERROR_VERDICT_FAILED": (455, f"the stage verdict, {_ENDED}"),
    "ERROR_ROUND_FAILED": (456, f"the round, {_ENDED}"),
    "ERROR_FORCES_FAILED": (457, f"forces of a displaced crystal, {_ENDED}"),
    "ERROR_LOWER_FAILED": (458, f"the relaxation along the imaginary mode, {_ENDED}"),
}  # fmt: skip
"""Label of a WorkChain's exit code -> number and message; {label}, {pk}, {status}: the child that failed."""

RETIRED: dict[str, dict[int, str]] = {
    "icsg3d.discover": {
        401: "ERROR_TRAIN_FAILED",
        402: "ERROR_GENERATE_FAILED",
        403: "ERROR_SCREEN_FAILED",
        404: "ERROR_VALIDATE_FAILED",
    },
    "icsg3d.generate": {401: "ERROR_SAMPLE_FAILED", 402: "ERROR_SEGMENT_FAILED", 403: "ERROR_REBUILD_FAILED"},
    "icsg3d.screen": {401: "ERROR_SCREEN_FAILED"},
    "icsg3d.train_all": {
        401: "ERROR_UNET_FAILED",
        402: "ERROR_VAE_FAILED",
        403: "ERROR_PRIOR_FAILED",
        404: "ERROR_CGCNN_FAILED",
    },
    "icsg3d.validate": {410: "ERROR_ALL_RELAXATIONS_FAILED"},
}
"""WorkChain -> number in nodes of release 0.1.0 -> what it means there; these numbers meant five things."""


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


def declare(spec: Any, *labels: str, **messages: str) -> None:
    """Declare exit codes of :data:`WORKCHAIN_EXIT_CODES` on the spec of a WorkChain.

    :param messages: label -> message, where this WorkChain can say more than the table does.
    """
    for label in (*labels, *messages):
        status, message = WORKCHAIN_EXIT_CODES[label]
        spec.exit_code(status, label, message=messages.get(label, message))


def failed_child(
    exit_codes: ExitCodesNamespace, label: str, node: ProcessNode, message: str | None = None, **more: Any
) -> ExitCode:
    """Return the exit code of a WorkChain whose child failed.

    :param label: of :data:`WORKCHAIN_EXIT_CODES`.
    :param message: why; default: the child's own words.
    :param more: what else the message of that exit code names.
    """
    message = message or node.exit_message or f"process state {node.process_state}"
    name = node.process_label or "job"
    return exit_codes[label].format(label=name, pk=node.pk, status=node.exit_status, message=message, **more)


def label_of(node: ProcessNode) -> str | None:
    """Return the label of the exit status of a process, also of one that an earlier release stored.

    None: it has not ended, ended well, or its status is not declared.
    """
    if not node.exit_status:
        return None
    entry_point = (node.process_type or "").rpartition(":")[2]
    retired = RETIRED.get(entry_point, {}).get(node.exit_status)
    declared = {code.status: label for label, code in node.process_class.exit_codes.items()}
    return retired or declared.get(node.exit_status)
