"""Read a discovery run from the provenance graph, whether it finished, failed or is still running.

A finished run carries a `summary`; of any other run the same facts are gathered from the processes it
called, so that a report can be written at any moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from icsg3d_models.screening.ranking import STAGES

from .asked import aim_in_words
from .candidate import PREDICTED, Candidate
from .graph import crystal_uuids, is_stage, last_table, outputs_of, relaxed_structure
from .properties.phonons import figures_of_modes
from .table import rank_key, read_table
from .unfinished import funnel_so_far, relaxations_so_far

if TYPE_CHECKING:
    from aiida.orm import ProcessNode, StructureData

FUNNEL = ("sampled", "rebuilt", *STAGES[1:], "relaxed")
"""Stages of the funnel in their order; `failed` relaxations are reported beside it."""


class NotACampaignError(ValueError):
    """The process is no discovery run; the message names it and what is accepted."""


@dataclass(frozen=True)
class Campaign:
    """A discovery run as plain data.

    :param node: the DiscoverWorkChain node.
    :param funnel: number of crystals left after each stage, in the order of :data:`FUNNEL`.
    :param candidates: all screened crystals, best first.
    :param relaxed: candidate id -> relaxed StructureData.
    :param notes: what a reader of the results has to know: the aim beside what does not aim, what could not be done.
    """

    node: ProcessNode
    funnel: dict[str, int]
    candidates: list[Candidate]
    relaxed: dict[str, StructureData] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

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

    def relaxed_ones(self, ids: Sequence[str] = ()) -> list[Candidate]:
        """Return the candidates of these ids, all that were relaxed where none is given.

        :raises ValueError: one was not relaxed, or none was.
        """
        chosen = [self.find(one) for one in ids] or [c for c in self.best if c.id in self.relaxed]
        if missing := [candidate.id for candidate in chosen if candidate.id not in self.relaxed]:
            raise ValueError(f"{', '.join(missing)}: not relaxed; there are {', '.join(self.relaxed) or 'none'}")
        if not chosen:
            raise ValueError(f"no candidate of the run {self.node.pk} was relaxed")
        return chosen


def read_campaign(node: ProcessNode) -> Campaign:
    """Gather what a discovery run produced so far.

    :raises NotACampaignError: the node is no DiscoverWorkChain.
    """
    if not (node.node_type.startswith("process.") and is_stage(node, "discover")):
        label = getattr(node, "process_label", None) or type(node).__name__
        raise NotACampaignError(f"{node.pk} is a {label}; give the PK or UUID of a DiscoverWorkChain")
    outputs = dict(outputs_of(node))
    descendants = node.called_descendants
    table = outputs.get("table") or last_table(descendants)
    rows = read_table(table) if table is not None else []
    if "summary" in outputs:
        summary = outputs["summary"].get_dict()
    else:
        summary = {"funnel": funnel_so_far(descendants), "candidates": []}
    known = {entry["id"]: entry for entry in summary["candidates"]}
    uuids = crystal_uuids(descendants)
    relaxations = {} if "summary" in outputs else relaxations_so_far(descendants)
    candidates = []
    place = {name: number for number, name in enumerate(known)}
    # those of the summary in its order, which may be that of a pre-relaxation
    in_order = sorted(rows, key=lambda row: (place.get(row["id"], len(place)), rank_key(row)))
    for row in in_order or list(known.values()):
        entry = known.get(row["id"], {})
        relax = entry.get("relax") or relaxations.get(row["id"])
        uuid = entry.get("uuid") or uuids.get(row["id"])
        prerelax = entry.get("prerelax")
        estimates = estimates_of(prerelax, summary.get("estimate"))
        candidates.append(Candidate(row["id"], row | estimates, uuid, relax, entry.get("verdict"), prerelax))
    relaxed = {}
    for candidate in candidates:
        if candidate.relaxed_well and candidate.relax is not None:
            structure = outputs.get(f"relaxed__{candidate.id}") or relaxed_structure(candidate.relax)
            if structure is not None:
                relaxed[candidate.id] = structure
                candidate.relax.update(figures_of_modes(structure))
    notes = [*aim_in_words(summary.get("aim")), *summary.get("notes", [])]
    return Campaign(node, summary["funnel"], candidates, relaxed, notes)


def estimates_of(prerelax: dict[str, Any] | None, hull: dict[str, Any] | None) -> dict[str, Any]:
    """Return what a pre-relaxation estimates, as columns beside those of the screening; {} where there was none.

    ``estimated_e_above_hull``, ``estimated_formation_energy_per_atom`` and ``spread`` in eV/atom, and
    ``estimated_hull``: which potential, against which references.
    """
    if prerelax is None or prerelax.get("estimated_e_above_hull") is None:
        return {}
    names = ("estimated_e_above_hull", "estimated_formation_energy_per_atom", "spread")
    found = {name: prerelax[name] for name in names if prerelax.get(name) is not None}
    against = {"potential": prerelax.get("potential"), "source": (hull or {}).get("source")}
    return found | {"estimated_hull": against}
