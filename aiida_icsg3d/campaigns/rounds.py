"""Read a campaign of several rounds from the graph, whether it ended, was cut off or still runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .campaign import NotACampaignError
from .graph import is_stage, outputs_of

if TYPE_CHECKING:
    from aiida.orm import ProcessNode

HISTORY = "histories__round_"


@dataclass(frozen=True)
class Rounds:
    """A campaign as plain data.

    :param node: the CampaignWorkChain.
    :param rounds: what was recorded of each round that has ended, see
        :func:`aiida_icsg3d.workflows.campaign.history.record_round`; those of a campaign that it goes on with first.
    """

    node: ProcessNode
    rounds: list[dict[str, Any]] = field(default_factory=list)

    @property
    def candidates(self) -> list[dict[str, Any]]:
        """Candidates that went to DFT: the judged first, the lowest above their hull before the others."""
        tried = [c for entry in self.rounds for c in entry["candidates"] if c["relax"]]
        return sorted(tried, key=lambda c: (height(c) is None, height(c) or 0.0))

    @property
    def stable_new(self) -> list[dict[str, Any]]:
        """Stable candidates that are new, each crystal once."""
        return [c for c in self.candidates if c["stable"] and c["new"] and not c.get("found_before")]

    @property
    def core_hours(self) -> float:
        """Core-hours of DFT of all rounds."""
        return float(sum(entry["core_hours"] for entry in self.rounds))


def height(candidate: dict[str, Any]) -> float | None:
    """Return the energy above the hull by DFT in eV/atom, None where there is none."""
    value = candidate["relax"].get("dft_e_above_hull")
    return None if value is None else float(value)


def is_campaign(node: Any) -> bool:
    """Tell whether a node is a campaign of several rounds."""
    return getattr(node, "process_type", None) is not None and is_stage(node, "campaign")


def read_rounds(node: ProcessNode) -> Rounds:
    """Return what a campaign has found so far.

    :raises NotACampaignError: the node is no CampaignWorkChain.
    """
    if not is_campaign(node):
        label = getattr(node, "process_label", None) or type(node).__name__
        raise NotACampaignError(f"{node.pk} is a {label}; give the PK or UUID of a CampaignWorkChain")
    found = {label: output for label, output in outputs_of(node) if label.startswith(HISTORY)}
    if found:
        return Rounds(node, found[max(found)].get_dict()["rounds"])
    before = {link.link_label: link.node for link in node.base.links.get_incoming().all()}.get("history")
    return Rounds(node, before.get_dict()["rounds"] if before is not None else [])
