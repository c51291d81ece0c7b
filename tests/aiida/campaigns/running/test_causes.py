"""The real reason of a failure, from the process in which it began."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.common.log import AIIDA_LOGGER
from aiida.engine import ProcessState
from aiida.orm.utils.log import create_logger_adapter

from aiida_icsg3d.campaigns.running.causes import cause_of, pause_reason
from tests.aiida.process_nodes import process

pytestmark = pytest.mark.usefixtures("aiida_profile_clean")


def failed(node: orm.ProcessNode, status: int, message: str = "") -> orm.ProcessNode:
    """Return a process that ended with an exit status."""
    node.set_process_state(ProcessState.FINISHED)
    node.set_exit_status(status)
    node.set_exit_message(message)
    return node


def chain_with_job(computer: orm.Computer) -> tuple[orm.ProcessNode, orm.CalcJobNode]:
    """Return a run and the job three levels below it."""
    run = process("TrainAllWorkChain", False)
    inner = process("TrainWorkChain", False, run)
    node = orm.CalcJobNode(computer=computer, process_type="aiida.calculations:icsg3d.train")
    node.set_option("resources", {"num_machines": 1})
    job: Any = process("TrainCalculation", False, inner, node)
    failed(inner, 402, "")
    failed(run, 441, "the training of the unet ended with exit status 402: None")
    return run, job


def retrieve(job: orm.CalcJobNode, folder: Path, **files: str) -> None:
    """Attach retrieved files to a job."""
    for name, text in files.items():
        (folder / name).write_text(text)
    retrieved = orm.FolderData(tree=str(folder))
    retrieved.base.links.add_incoming(job, link_type=LinkType.CREATE, link_label="retrieved")
    retrieved.store()


def test_wrong_path_of_the_program(localhost: orm.Computer, tmp_path: Path) -> None:
    """The reason stood only in a file that no command showed."""
    run, job = chain_with_job(localhost)
    failed(job, 301, "no results.json: the job was killed or never began; see its standard error")
    retrieve(
        job, tmp_path, **{"icsg3d.err": "", "_scheduler-stderr.txt": "bash: /no/icsg3d: No such file or directory\n"}
    )
    cause = cause_of(run)
    assert cause is not None
    assert cause.line.startswith(f"TrainCalculation<{job.pk}> ended with 301: no results.json")
    assert cause.text.splitlines()[1:] == [
        "  _scheduler-stderr.txt:", "  | bash: /no/icsg3d: No such file or directory"
    ]  # fmt: skip


def test_of_a_traceback_the_end_is_shown(localhost: orm.Computer, tmp_path: Path) -> None:
    run, job = chain_with_job(localhost)
    failed(job, 390, "ImportError: No module named 'torch'")
    lines = ["Traceback (most recent call last):", *(f"  File {i}" for i in range(30)), "ImportError: no torch"]
    retrieve(job, tmp_path, **{"icsg3d.err": "\n".join(lines)})
    cause = cause_of(run)
    assert cause is not None
    shown = cause.text.splitlines()
    assert len(shown) < 13
    assert shown[2] == "  | Traceback (most recent call last):"
    assert shown[-1] == "  | ImportError: no torch"


def test_exception_kill_and_a_status_without_words(localhost: orm.Computer) -> None:
    run, job = chain_with_job(localhost)
    job.set_process_state(ProcessState.EXCEPTED)
    job.set_exception("Traceback\n  File x\nValueError: cannot clean a folder that is gone\n")
    cause = cause_of(run)
    assert cause is not None
    assert cause.line.endswith("ended with an exception: ValueError: cannot clean a folder that is gone")
    job.set_process_state(ProcessState.KILLED)
    job.set_process_status("Killed through `verdi process kill`")
    cause = cause_of(run)
    assert cause is not None
    assert cause.line.endswith("ended with a kill: Killed through `verdi process kill`")
    failed(job, 331)
    cause = cause_of(run)
    assert cause is not None
    assert cause.line.endswith("ended with 331: out of memory")


def test_nothing_failed() -> None:
    assert cause_of(process("DiscoverWorkChain", True)) is None
    assert cause_of(process("DiscoverWorkChain", False)) is None


def test_a_pause_names_the_exception_behind_it(localhost: orm.Computer) -> None:
    _, job = chain_with_job(localhost)
    job.pause()
    job.set_process_status("Pausing after failed transport task: upload_calculation failed 5 times consecutively")
    log = create_logger_adapter(AIIDA_LOGGER.getChild("orm.nodes"), job)
    log.error("iteration 5 of do_upload excepted\nTraceback ...\nConnectionError: no route to host")
    assert pause_reason(job) == (
        "Pausing after failed transport task: upload_calculation failed 5 times consecutively "
        "(ConnectionError: no route to host)"
    )
