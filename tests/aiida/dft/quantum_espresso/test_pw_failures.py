"""Whether the same again may succeed, by how a pw.x job ended."""

from __future__ import annotations

from typing import Any

import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import ProcessState
from aiida_quantumespresso.calculations.pw import PwCalculation

from aiida_icsg3d.dft.quantum_espresso.pw_failures import cut_off

pytestmark = pytest.mark.usefixtures("aiida_profile")


def relaxation(
    inner: tuple[orm.CalcJobNode, orm.FolderData], state: ProcessState = ProcessState.FINISHED
) -> orm.WorkChainNode:
    """Return a PwRelaxWorkChain that failed, with a job in a PwBaseWorkChain that did."""
    nodes: list[Any] = []
    for name in ("relax", "base"):
        node = orm.WorkChainNode(process_type=f"aiida.workflows:quantumespresso.pw.{name}")
        node.set_process_state(state if name == "relax" else ProcessState.FINISHED)
        node.set_exit_status(401)
        if nodes:
            node.base.links.add_incoming(nodes[0], link_type=LinkType.CALL_WORK, link_label="iteration_01")
        nodes.append(node.store())
    job, folder = inner
    job.base.links.add_incoming(nodes[1], link_type=LinkType.CALL_CALC, link_label="iteration_01")
    job.store()
    folder.base.links.add_incoming(job, link_type=LinkType.CREATE, link_label="retrieved")
    folder.store()
    return nodes[0]


def job(
    label: str | None, files: tuple[str, ...] = ("aiida.out",), stderr: str = ""
) -> tuple[orm.CalcJobNode, orm.FolderData]:
    """Return a pw.x job that ended with the exit code of a label (None: it was killed), and its retrieved files."""
    node = orm.CalcJobNode(process_type="aiida.calculations:quantumespresso.pw")
    node.set_option("scheduler_stderr", "_scheduler-stderr.txt")
    node.set_process_state(ProcessState.KILLED if label is None else ProcessState.FINISHED)
    if label is not None:
        node.set_exit_status(PwCalculation.exit_codes[label].status)
    folder = orm.FolderData()
    for name in files:
        folder.base.repository.put_object_from_bytes(b"x", name)
    folder.base.repository.put_object_from_bytes(stderr.encode(), "_scheduler-stderr.txt")
    return node, folder


@pytest.mark.parametrize(
    "label",
    [None, "ERROR_OUTPUT_STDOUT_INCOMPLETE", "ERROR_OUTPUT_FILES", "ERROR_SCHEDULER_NODE_FAILURE",
     "ERROR_IONIC_INTERRUPTED_PARTIAL_TRAJECTORY"],
)  # fmt: skip
def test_cancelled_killed_or_lost_with_its_node(label: str | None) -> None:
    assert cut_off(relaxation(job(label)))


@pytest.mark.parametrize(
    "label", ["ERROR_ELECTRONIC_CONVERGENCE_NOT_REACHED", "ERROR_OUT_OF_WALLTIME", "ERROR_SCHEDULER_OUT_OF_MEMORY"]
)
def test_what_would_fail_again(label: str) -> None:
    assert not cut_off(relaxation(job(label)))


@pytest.mark.parametrize(
    ("files", "stderr"),
    [(("aiida.out", "CRASH"), ""), (("aiida.out",), "bash: pw.x: command not found"),
     (("aiida.out",), "exec: /opt/pw.x: No such file or directory")],
)  # fmt: skip
def test_pw_that_stopped_by_itself_or_is_not_there(files: tuple[str, ...], stderr: str) -> None:
    assert not cut_off(relaxation(job("ERROR_OUTPUT_STDOUT_INCOMPLETE", files, stderr)))


def test_a_relaxation_that_somebody_killed() -> None:
    assert not cut_off(relaxation(job(None), ProcessState.KILLED))
