"""Exit codes: every number is pinned, has one meaning everywhere, and keeps what stored nodes say by it."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

import pytest
from aiida.engine import BaseRestartWorkChain, CalcJob, WorkChain
from aiida.orm import WorkChainNode

from aiida_icsg3d.calculations.exit_codes import RETIRED, WORKCHAIN_EXIT_CODES, label_of

PINNED = {
    132: "ERROR_SCHEDULER_REFUSED",
    202: "ERROR_PSEUDO_FAMILY",
    203: "ERROR_SETTINGS_DIFFER",
    204: "ERROR_NOT_RELAXED",
    210: "ERROR_INPUT_MISSING",
    211: "ERROR_INPUT_UNREADABLE",
    212: "ERROR_INPUT_INCOMPATIBLE",
    301: "ERROR_RESULTS_MISSING",
    302: "ERROR_RESULTS_UNREADABLE",
    303: "ERROR_OUTPUT_MISSING",
    304: "ERROR_OUTPUT_UNREADABLE",
    320: "ERROR_SETTINGS_REJECTED",
    330: "ERROR_DEVICE_UNAVAILABLE",
    331: "ERROR_OUT_OF_MEMORY",
    332: "ERROR_DISK_FULL",
    340: "ERROR_INTERRUPTED",
    390: "ERROR_STAGE_FAILED",
    400: "ERROR_WALLTIME",
    410: "ERROR_DIVERGED",
    411: "ERROR_LOSS_NOT_FINITE",
    412: "ERROR_OUT_OF_MEMORY_AT_SMALLEST_BATCH",
    413: "ERROR_NO_PROGRESS",
    420: "ERROR_NOTHING_REBUILT",
    421: "ERROR_NOTHING_VALID",
    422: "ERROR_ALL_RELAXATIONS_FAILED",
    430: "ERROR_PREPARE_FAILED",
    431: "ERROR_SAMPLE_FAILED",
    432: "ERROR_SEGMENT_FAILED",
    433: "ERROR_REBUILD_FAILED",
    434: "ERROR_SCREEN_FAILED",
    435: "ERROR_EVALUATE_FAILED",
    436: "ERROR_RELAX_FAILED",
    437: "ERROR_JOB_FAILED",
    438: "ERROR_JOB_GIVEN_UP",
    439: "ERROR_STAGE_BEFORE_GONE",
    440: "ERROR_CHAIN_FAILED",
    441: "ERROR_UNET_FAILED",
    442: "ERROR_VAE_FAILED",
    443: "ERROR_PRIOR_FAILED",
    444: "ERROR_CGCNN_FAILED",
    445: "ERROR_VOXELNET_FAILED",
    451: "ERROR_TRAIN_FAILED",
    452: "ERROR_GENERATE_FAILED",
    453: "ERROR_VALIDATE_FAILED",
    454: "ERROR_REFERENCES_FAILED",
    455: "ERROR_VERDICT_FAILED",
    456: "ERROR_ROUND_FAILED",
    457: "ERROR_FORCES_FAILED",
    458: "ERROR_LOWER_FAILED",
}
"""A number that is taken is never changed: nodes are stored with it. A new meaning gets a new line here."""

RELEASED = {
    "icsg3d.discover": {401: "ERROR_TRAIN_FAILED", 402: "ERROR_GENERATE_FAILED", 403: "ERROR_SCREEN_FAILED",
                        404: "ERROR_VALIDATE_FAILED", 420: "ERROR_NOTHING_REBUILT",
                        422: "ERROR_ALL_RELAXATIONS_FAILED"},
    "icsg3d.generate": {401: "ERROR_SAMPLE_FAILED", 402: "ERROR_SEGMENT_FAILED", 403: "ERROR_REBUILD_FAILED",
                        420: "ERROR_NOTHING_REBUILT"},
    "icsg3d.screen": {401: "ERROR_SCREEN_FAILED", 421: "ERROR_NOTHING_VALID"},
    "icsg3d.train": {301: "ERROR_SUB_PROCESS_EXCEPTED", 302: "ERROR_SUB_PROCESS_KILLED",
                     401: "ERROR_MAXIMUM_ITERATIONS_EXCEEDED", 402: "ERROR_UNHANDLED_FAILURE", 410: "ERROR_DIVERGED",
                     412: "ERROR_OUT_OF_MEMORY_AT_SMALLEST_BATCH", 413: "ERROR_NO_PROGRESS"},
    "icsg3d.train_all": {401: "ERROR_UNET_FAILED", 402: "ERROR_VAE_FAILED", 403: "ERROR_PRIOR_FAILED",
                         404: "ERROR_CGCNN_FAILED"},
    "icsg3d.validate": {202: "ERROR_PSEUDO_FAMILY", 410: "ERROR_ALL_RELAXATIONS_FAILED"},
}  # fmt: skip
"""What the numbers in archives of release 0.1.0 mean, by WorkChain."""


def processes() -> dict[str, Any]:
    """Return entry point -> CalcJob or WorkChain of this plugin."""
    found = [*entry_points(group="aiida.calculations"), *entry_points(group="aiida.workflows")]
    return {entry.name: entry.load() for entry in found if entry.name.startswith("icsg3d.")}


def own_codes(process: Any) -> dict[int, str]:
    """Return number -> label of the exit codes that a process does not have from AiiDA."""
    parents = (CalcJob, BaseRestartWorkChain if issubclass(process, BaseRestartWorkChain) else WorkChain)
    given = {code.status for parent in parents for code in parent.spec().exit_codes.values()}
    given -= {301, 302} if issubclass(process, CalcJob) else set()
    return {code.status: label for label, code in process.spec().exit_codes.items() if code.status not in given}


def test_one_number_for_one_meaning() -> None:
    found = processes()
    assert {"icsg3d.sample", "icsg3d.discover"} <= set(found)
    for name, process in found.items():
        for number, label in own_codes(process).items():
            assert PINNED.get(number) == label, f"{name} has {number} {label}"
    assert len(set(PINNED.values())) == len(PINNED)
    assert {label: number for label, (number, _) in WORKCHAIN_EXIT_CODES.items()}.items() <= {
        label: number for number, label in PINNED.items()
    }.items()


@pytest.mark.parametrize("name", RELEASED)
def test_stored_numbers_keep_their_meaning(name: str) -> None:
    process_type = processes()[name].build_process_type()
    for number, label in RELEASED[name].items():
        node = WorkChainNode(process_type=process_type)
        node.set_process_state("finished")
        node.set_exit_status(number)
        assert label_of(node) == label
        declared = {code.status: label for label, code in processes()[name].spec().exit_codes.items()}
        assert declared.get(number, label) == label


def test_retired_numbers_are_not_declared_again() -> None:
    for name, numbers in RETIRED.items():
        declared = {code.status for code in processes()[name].spec().exit_codes.values()}
        assert not declared & set(numbers), name


def test_a_process_that_ended_well_has_no_label() -> None:
    node = WorkChainNode(process_type=processes()["icsg3d.screen"].build_process_type())
    node.set_process_state("finished")
    node.set_exit_status(0)
    assert label_of(node) is None
    node.set_exit_status(999)
    assert label_of(node) is None
