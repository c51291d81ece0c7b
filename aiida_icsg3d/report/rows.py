"""What stands in the rows of the page: a candidate as generated and as DFT left it, one line under the other."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from icsg3d_models.crystals.symmetry import SYMPREC

from ..campaigns.campaign import Campaign
from ..campaigns.candidate import PREDICTED, Candidate
from ..campaigns.pressure import residual_pressure
from ..campaigns.verdict import ENERGIES, energy_of, familiarity
from ..workflows.relaxations import SYMMETRY_PRECISION
from .console import failure_word
from .geometry import Cell, conventional_cell, coordination
from .pictures.crystal import element_colour

if TYPE_CHECKING:
    from aiida.orm import StructureData


@dataclass(frozen=True)
class Line:
    """A crystal in a row: the generated one, or the relaxed one.

    :param node: where it is in the graph, None where it is not.
    :param bonds: lengths and coordination of its atoms.
    """

    cell: Cell
    node: StructureData | None
    bonds: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Row:
    """A candidate on the page."""

    candidate: Candidate
    generated: Line | None
    relaxed: Line | None
    energies: list[float | None]
    predictions: list[tuple[float | None, float | None]]
    status: str
    reason: str
    familiar: str
    pressure: float | None
    elements: list[str]

    @property
    def selected(self) -> bool:
        """Whether the screening chose it."""
        return self.candidate.row.get("selected") is True or bool(self.candidate.relax)


def make_row(campaign: Campaign, candidate: Candidate) -> Row:
    """Return the row of a candidate; only of those that were selected are the crystals themselves looked at."""
    from pymatgen.core import Composition

    chosen = candidate.row.get("selected") is True or bool(candidate.relax)
    predictions = [(number(candidate.row.get(PREDICTED + p)), number(candidate.row.get(f"uncertainty_{p}")))
                   for p in campaign.properties]  # fmt: skip
    elements = [] if candidate.formula == "?" else [str(e) for e in Composition(candidate.formula).elements]
    return Row(
        candidate=candidate,
        generated=line(campaign.structure(candidate), SYMPREC) if chosen else table_line(candidate),
        relaxed=line(campaign.relaxed.get(candidate.id), SYMMETRY_PRECISION),
        energies=[energy_of(candidate, energy) for energy in ENERGIES],
        predictions=predictions,
        status=status_of(candidate),
        reason=str((candidate.relax or {}).get("reason") or candidate.row.get("reason") or ""),
        familiar=familiarity(candidate),
        pressure=residual_pressure(candidate) if candidate.relaxed_well else None,
        elements=elements,
    )


def number(value: Any) -> float | None:
    """Return a number, None for anything else."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def status_of(candidate: Candidate) -> str:
    """Return what became of a candidate, in a word or two."""
    if candidate.failed:
        return failure_word(candidate)
    if candidate.relaxed_well:
        return "relaxed"
    if candidate.row.get("selected") is True:
        return "selected"
    return "set aside" if candidate.row.get("reason") else "not selected"


def line(node: StructureData | None, symprec: float) -> Line | None:
    """Return the line of a crystal in the graph."""
    if node is None:
        return None
    crystal = node.get_pymatgen()
    return Line(conventional_cell(crystal, symprec), node, coordination(crystal))


def table_line(candidate: Candidate) -> Line | None:
    """Return the line of a crystal by the screening table: its own cell, not the conventional one."""
    values = [number(candidate.row.get(name)) for name in ("a", "b", "c", "alpha", "beta", "gamma")]
    if any(value is None for value in values):
        return None
    a, b, c, alpha, beta, gamma = (value or 0.0 for value in values)
    return Line(Cell((a, b, c), (alpha, beta, gamma), str(candidate.row.get("spacegroup_symbol") or "–")), None)


def rejections(campaign: Campaign) -> list[tuple[str, list[Candidate]]]:
    """Return the reasons why crystals were set aside, each with its crystals, the most frequent first.

    Names of other samples are left out of a reason, so that all duplicates stand together.
    """
    groups: dict[str, list[Candidate]] = {}
    for candidate in campaign.candidates:
        for reason in str(candidate.row.get("reason") or "").split("; "):
            if reason:
                groups.setdefault(re.sub(r"\bs\d{6}\b", "another sample", reason), []).append(candidate)
    return sorted(groups.items(), key=lambda item: -len(item[1]))


def colours(symbols: list[str]) -> list[tuple[str, str]]:
    """Return (element, CSS colour) of each element."""
    return [(symbol, "rgb({},{},{})".format(*(255 * element_colour(symbol)).astype(int))) for symbol in symbols]


def potential_line(candidate: Candidate) -> str:
    """Return what a potential made of the crystal before DFT, empty where none was asked.

    The estimate above the hull is of the crystal that it left, which is not always the one that was generated.
    """
    found = candidate.prerelax or {}
    name, reason = found.get("potential"), found.get("reason") or ""
    if not name:
        return ""
    change, moved = number(found.get("volume_change")), number(found.get("rmsd"))
    if change is None:
        return f"{name}: {reason or found.get('status')}"
    far = f", atoms moved {moved:.2f} Å" if moved is not None else ""
    return f"{name}: volume {change:+.1f}".replace("-", "−") + f" %{far}" + (f"; {reason}" if reason else "")
