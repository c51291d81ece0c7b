"""Read a discovery run from the provenance graph, whether it finished, failed or is still running.

A finished run carries a `summary`; of any other run the same facts are gathered from the processes it
called, so that a report can be written at any moment.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiida.orm import ProcessNode, SinglefileData, StructureData

FUNNEL = ("sampled", "rebuilt", "valid", "unique", "novel", "selected", "relaxed")
"""Stages of the funnel in their order; `failed` relaxations are reported beside it."""
PREDICTED = "predicted_"
CRYSTALS = "crystals__"
TEXT = ("id", "formula", "spacegroup_symbol", "duplicate_of", "reason")
TRUTH = ("structure_valid", "composition_valid", "unique", "novel", "selected", "novel_composition")


class NotACampaignError(ValueError):
    """The process is no discovery run; the message names it and what is accepted."""


@dataclass(frozen=True)
class Candidate:
    """One screened crystal.

    :param id: name of the sample within the run.
    :param row: its row of the screening table, numbers and booleans converted.
    :param uuid: UUID of the StructureData, None where the crystal is not in the graph.
    :param relax: what the relaxation said (status, energies, lattice ...), None where there was none.
    """

    id: str
    row: dict[str, Any]
    uuid: str | None = None
    relax: dict[str, Any] | None = None

    @property
    def formula(self) -> str:
        """Chemical formula, as the screening gave it."""
        return str(self.row.get("formula") or "?")

    @property
    def relaxed_well(self) -> bool:
        """Whether DFT relaxed it without complaint."""
        return bool(self.relax) and not self.failed and (self.relax or {}).get("energy_eV") is not None

    @property
    def failed(self) -> bool:
        """Whether DFT was tried and did not end well."""
        relax = self.relax or {}
        return relax.get("status") == "failed" or bool(relax.get("exit_status"))

    def value(self, key: str) -> float | None:
        """Return a number: a column of the table, a predicted property, or a value of the relaxation."""
        for source, name in ((self.row, key), (self.row, PREDICTED + key), (self.relax or {}, key)):
            value = source.get(name)
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                return float(value)
        return None


@dataclass(frozen=True)
class Campaign:
    """A discovery run as plain data.

    :param node: the DiscoverWorkChain node.
    :param funnel: number of crystals left after each stage, in the order of :data:`FUNNEL`.
    :param candidates: all screened crystals, best first.
    :param relaxed: candidate id -> relaxed StructureData.
    """

    node: ProcessNode
    funnel: dict[str, int]
    candidates: list[Candidate]
    relaxed: dict[str, StructureData] = field(default_factory=dict)

    @property
    def properties(self) -> list[str]:
        """Names of the predicted properties."""
        names = self.candidates[0].row if self.candidates else {}
        return [name.removeprefix(PREDICTED) for name in names if name.startswith(PREDICTED)]

    @property
    def selected(self) -> list[Candidate]:
        """Candidates that the screening selected."""
        return [c for c in self.candidates if c.row.get("selected") is True or c.relax]

    @property
    def best(self) -> list[Candidate]:
        """Selected candidates, those that DFT relaxed well first, each group in the order of the ranking."""
        return sorted(self.selected, key=lambda c: (not c.relaxed_well, c.failed))

    def structure(self, candidate: Candidate) -> StructureData | None:
        """Return the generated crystal, or None where it is not in the graph."""
        from aiida.orm import load_node

        node: Any = load_node(candidate.uuid) if candidate.uuid else None
        return node

    def find(self, id: str) -> Candidate:
        """Return the candidate of that id.

        :raises ValueError: the run screened none of that id.
        """
        for candidate in self.candidates:
            if candidate.id == id:
                return candidate
        some = ", ".join(c.id for c in self.best[:5]) or "none"
        raise ValueError(f"run {self.node.pk} has no candidate {id!r}; the best are {some}")


def convert(name: str, text: str) -> Any:
    """Return a cell of the table by its column: text, truth value or number; empty and NaN become None.

    Typed by the column, because the formulas InF and NaN look like numbers.
    """
    if name in TEXT:
        return text or None
    if text.lower() in ("", "nan", "none"):
        return None
    if name in TRUTH:
        return text.lower() in ("true", "1")
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def read_table(table: SinglefileData) -> list[dict[str, Any]]:
    """Return the rows of a screening table."""
    with table.open(mode="r") as stream:
        return [{n: convert(n, value or "") for n, value in row.items()} for row in csv.DictReader(stream)]


def read_campaign(node: ProcessNode) -> Campaign:
    """Gather what a discovery run produced so far.

    :raises NotACampaignError: the node is no DiscoverWorkChain.
    """
    from .unfinished import funnel_so_far, relaxations_so_far

    if not (node.node_type.startswith("process.") and is_stage(node, "discover")):
        label = getattr(node, "process_label", None) or type(node).__name__
        raise NotACampaignError(f"{node.pk} is a {label}; give the PK or UUID of a DiscoverWorkChain")
    outputs = dict(outputs_of(node))
    descendants = node.called_descendants
    table = outputs.get("table") or first_table(descendants)
    rows = read_table(table) if table is not None else []
    if "summary" in outputs:
        summary = outputs["summary"].get_dict()
    else:
        summary = {"funnel": funnel_so_far(descendants), "candidates": []}
    known = {entry["id"]: entry for entry in summary["candidates"]}
    uuids = crystal_uuids(descendants)
    relaxations = {} if "summary" in outputs else relaxations_so_far(descendants)
    candidates = []
    for row in sorted(rows, key=rank_key) or list(known.values()):
        entry = known.get(row["id"], {})
        relax = entry.get("relax") or relaxations.get(row["id"])
        candidates.append(Candidate(row["id"], row, entry.get("uuid") or uuids.get(row["id"]), relax))
    relaxed = {}
    for candidate in candidates:
        if candidate.relaxed_well and candidate.relax is not None:
            structure = outputs.get(f"relaxed__{candidate.id}") or relaxed_structure(candidate.relax)
            if structure is not None:
                relaxed[candidate.id] = structure
    return Campaign(node, summary["funnel"], candidates, relaxed)


def rank_key(row: dict[str, Any]) -> tuple[bool, float]:
    """Return a key that puts rank 1 first and what was not ranked last."""
    rank = row.get("rank")
    return (not isinstance(rank, (int, float)), float(rank) if isinstance(rank, (int, float)) else 0.0)


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


def first_table(processes: list[ProcessNode]) -> SinglefileData | None:
    """Return the table of the first screening that has one, or None."""
    tables = (output(process, "table") for process in processes if is_stage(process, "screen"))
    return next((table for table in tables if table is not None), None)


def is_stage(process: ProcessNode, stage: str) -> bool:
    """Return whether a process is one of this plugin's stages, by its entry point."""
    return (process.process_type or "").endswith(f":icsg3d.{stage}")


def crystal_uuids(processes: list[ProcessNode]) -> dict[str, str]:
    """Return id -> UUID of every crystal that the rebuild jobs among the processes made, in one query a job."""
    from aiida.orm import CalcJobNode, QueryBuilder, StructureData

    found: dict[str, str] = {}
    for process in processes:
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
