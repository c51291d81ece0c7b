"""The few questions to the provenance graph that everything here asks: which stage, which output, which crystal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiida.orm import ProcessNode, SinglefileData, StructureData

CRYSTALS = "crystals__"
ONE_JOB, OF_ONE_JOB = "chain", ("sample", "segment", "rebuild", "screen")
"""The job that does the work of several, and which these are."""


def is_stage(process: ProcessNode, stage: str) -> bool:
    """Return whether a process is one of this plugin's stages, by its entry point; one job can be several."""
    entry_point = (process.process_type or "").rpartition(":icsg3d.")[2]
    return entry_point == stage or (entry_point == ONE_JOB and stage in OF_ONE_JOB)


def is_one_job(process: ProcessNode) -> bool:
    """Return whether a process does the work of several stages."""
    return (process.process_type or "").endswith(f":icsg3d.{ONE_JOB}")


def results_of(process: ProcessNode, stage: str) -> Any:
    """Return the results of a stage, from its own job or from one that did it among others; None: there are none."""
    return output(process, f"{stage}_results" if is_one_job(process) and stage in OF_ONE_JOB else "results")


def inputs_of(process: ProcessNode, stage: str) -> Any:
    """Return the inputs of a stage, from its own job or from one that did it among others."""
    return process.inputs[stage] if is_one_job(process) and stage in OF_ONE_JOB else process.inputs


def outputs_of(node: ProcessNode) -> Iterator[tuple[str, Any]]:
    """Yield the outputs of a process as (link label, node); namespaces are joined by two underscores."""
    for triple in node.base.links.get_outgoing(link_type=_output_links()).all():
        yield triple.link_label, triple.node


def _output_links() -> tuple[Any, ...]:
    from aiida.common.links import LinkType

    return (LinkType.RETURN, LinkType.CREATE)


def output(process: ProcessNode, label: str) -> Any:
    """Return one output of a process, or None, without loading its other outputs: there may be 10,000 crystals."""
    triples = process.base.links.get_outgoing(link_type=_output_links(), link_label_filter=label).all()
    return triples[0].node if triples else None


def in_order(processes: Iterable[ProcessNode]) -> list[ProcessNode]:
    """Return processes as they began: a job that was tried again stands after the one before."""
    return sorted(processes, key=lambda process: process.pk or 0)


def last_table(processes: list[ProcessNode]) -> SinglefileData | None:
    """Return the table of the last screening that has one, or None."""
    screens = [process for process in reversed(in_order(processes)) if is_stage(process, "screen")]
    tables = (output(process, "table") for process in screens)
    return next((table for table in tables if table is not None), None)


def crystal_uuids(processes: list[ProcessNode]) -> dict[str, str]:
    """Return id -> UUID of every crystal that the rebuild jobs among the processes made, in one query a job.

    Of a job that was cut off and tried again, the last counts.
    """
    from aiida.orm import CalcJobNode, QueryBuilder, StructureData

    found: dict[str, str] = {}
    for process in in_order(processes):
        if not is_stage(process, "rebuild"):
            continue
        query = QueryBuilder().append(CalcJobNode, filters={"id": process.pk}, tag="job")
        query.append(StructureData, with_incoming="job", project=["uuid"], edge_project=["label"])
        found.update({label.removeprefix(CRYSTALS): uuid for uuid, label in query.iterall()})
    return found


def relaxed_structure(relax: dict[str, Any]) -> StructureData | None:
    """Return the crystal at the end of a relaxation, None where its WorkChain is not in the profile."""
    from aiida.common.exceptions import NotExistent
    from aiida.orm import load_node

    try:
        node: Any = load_node(relax.get("workchain_uuid"))
    except (NotExistent, ValueError):
        return None
    return output(node, "output_structure")
