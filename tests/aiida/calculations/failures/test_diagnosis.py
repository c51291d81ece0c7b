"""What is made of every way in which a job can end, by the files that it leaves."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from aiida.common.links import LinkType
from aiida.orm import CalcJobNode, Computer, Dict, FolderData, RemoteData

from aiida_icsg3d.calculations.failures.diagnosis import AGAIN, HOPELESS, SMALLER, STAGE_BEFORE, diagnose
from aiida_icsg3d.data import remote_files

LOST = 301
"""No results.json."""


@pytest.fixture
def failed(localhost: Any, fake_code: Any, tmp_path: Path) -> Any:
    """Return a factory of stored jobs of the stage segment that failed: status, message, files that came back."""

    def build(status: int, message: str = "", linked: Path | None = None, **files: str) -> CalcJobNode:
        node = CalcJobNode(computer=localhost, process_type="aiida.calculations:icsg3d.segment")
        inputs = {"code": fake_code(), "settings": Dict({}).store()}
        if linked is not None:
            inputs["fields_folder"] = RemoteData(computer=localhost, remote_path=str(linked)).store()
        for label, data in inputs.items():
            node.base.links.add_incoming(data, LinkType.INPUT_CALC, label)
        node.set_exit_status(status)
        node.set_exit_message(message)
        node.set_process_state("finished")
        node.store()
        retrieved = FolderData()
        for name, text in files.items():
            file = {"err": "icsg3d.err", "scheduler": "_scheduler-stderr.txt"}[name]
            retrieved.base.repository.put_object_from_filelike(io.BytesIO(text.encode()), file)
        (tmp_path / "job").mkdir(exist_ok=True)
        outputs = {
            "retrieved": retrieved,
            "remote_folder": RemoteData(computer=localhost, remote_path=str(tmp_path / "job")),
        }
        for label, data in outputs.items():
            data.base.links.add_incoming(node, LinkType.CREATE, label)
            data.store()
        return node

    return build


@pytest.mark.parametrize(
    ("status", "treatment", "words"),
    [
        (LOST, AGAIN, "none"),
        (303, AGAIN, "none"),
        (340, AGAIN, "none"),
        (140, AGAIN, "none"),
        (331, SMALLER, "none"),
        (110, SMALLER, "none"),
        (212, HOPELESS, "none"),
        (302, HOPELESS, "none; install the same release"),
        (320, HOPELESS, "none; install the same release"),
        (330, HOPELESS, "none; ask the scheduler for a GPU"),
        (332, HOPELESS, "none; free some"),
        (120, HOPELESS, "none; raise `max_wallclock_seconds`"),
        (131, HOPELESS, "none; give an account"),
        (132, HOPELESS, "none; correct what the job asks for"),
        (390, HOPELESS, "none"),
        (210, HOPELESS, "none"),
        (999, HOPELESS, "none"),
    ],
)
def test_by_exit_status(failed: Any, status: int, treatment: str, words: str) -> None:
    found = diagnose(failed(status, "none."))
    assert found.treatment == treatment
    assert found.words.startswith(words)


@pytest.mark.parametrize(
    ("said", "treatment", "words"),
    [
        ("Killed", AGAIN, "none (Killed)"),
        ("Traceback (most recent call last):\nKeyboardInterrupt", AGAIN, "none"),
        ("Traceback (most recent call last):\nModuleNotFoundError: No module named 'torch'", HOPELESS,
         "the program failed: ModuleNotFoundError: No module named 'torch'; install `aiida-icsg3d[models]`"),
        ("usage: icsg3d [-h]\nicsg3d: error: argument stage: invalid choice: 'segment'", HOPELESS,
         "the program refused its command: icsg3d: error: argument stage: invalid choice: 'segment'; install"),
        ("icsg3d segment: cannot write results.json: [Errno 28] No space left on device", HOPELESS,
         "icsg3d segment: cannot write results.json: [Errno 28] No space left on device; free some"),
    ],
)  # fmt: skip
def test_by_the_standard_error_of_the_program(failed: Any, said: str, treatment: str, words: str) -> None:
    found = diagnose(failed(LOST, "none", err=said))
    assert found.treatment == treatment
    assert found.words.startswith(words)


@pytest.mark.parametrize(
    ("said", "treatment"),
    [
        ("slurmstepd: error: Detected 1 oom-kill event(s) in StepId=7.batch. Some of your processes may have been "
         "killed by the cgroup out-of-memory handler.", SMALLER),
        ("slurmstepd: error: *** JOB 7 ON node1 CANCELLED AT 2026-01-01T00:00:00 ***", AGAIN),
        ("slurmstepd: error: *** JOB 7 ON node1 CANCELLED AT 2026-01-01T00:00:00 DUE TO PREEMPTION ***", AGAIN),
        ("module: command not found", AGAIN),  # the program began all the same
        ("_aiidasubmit.sh: line 9: {path}: No such file or directory", HOPELESS),
        ("_aiidasubmit.sh: line 9: {path}: Permission denied", HOPELESS),
        ("_aiidasubmit.sh: {path}: /opt/python: bad interpreter: No such file or directory", HOPELESS),
    ],
)  # fmt: skip
def test_by_the_standard_error_of_the_scheduler(failed: Any, fake_code: Any, said: str, treatment: str) -> None:
    path = fake_code().filepath_executable
    assert diagnose(failed(LOST, "none", scheduler=said.format(path=path))).treatment == treatment


def test_files_of_the_stage_before(failed: Any, tmp_path: Path) -> None:
    found = diagnose(failed(210, "fields.h5: no such file", linked=tmp_path / "gone"))
    assert found.treatment == STAGE_BEFORE
    assert f"purged from scratch are {tmp_path}/gone/fields.h5" in found.words
    (tmp_path / "fields.h5").write_bytes(b"fields")
    assert diagnose(failed(210, "unet.safetensors: no such file", linked=tmp_path)).treatment == HOPELESS


def test_a_full_disk_where_nothing_can_be_said(failed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither results nor an error could be written; a trial shows why. /dev/full is a disk without room."""
    node = failed(LOST, "none")
    folder = node.outputs.remote_folder
    assert diagnose(node).treatment == AGAIN
    assert list(Path(folder.get_remote_path()).iterdir()) == []
    Path(folder.get_remote_path(), remote_files.TRIAL).symlink_to("/dev/full")
    found = diagnose(node)
    assert found.treatment == HOPELESS
    assert f"no space left in {folder.get_remote_path()} on localhost; free some" in found.words


def test_a_computer_that_does_not_answer(failed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise OSError("no route to host")

    monkeypatch.setattr(Computer, "get_transport", refuse)
    node = failed(210, "fields.h5: no such file", linked=Path("/nowhere"))
    assert remote_files.is_there(node.inputs.fields_folder, "fields.h5") is None
    assert remote_files.has_room(node.inputs.fields_folder) is None
    assert diagnose(node).treatment == HOPELESS
