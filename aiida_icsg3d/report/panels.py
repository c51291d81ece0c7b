"""Choose the candidates of the picture and write their labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from icsg3d_models.properties.meaning import Meaning

from ..campaigns.campaign import Campaign
from ..campaigns.candidate import PREDICTED, Candidate
from ..campaigns.predicted import meanings
from ..campaigns.verdict import ENERGIES, energy_of
from .console import main_property, number
from .generated import generated_occupancy
from .pictures.field import LEVEL
from .pictures.picture import Panel, mathtext_formula, mathtext_spacegroup

if TYPE_CHECKING:
    from pymatgen.core import Structure

SHOWN = 3


def make_panels(campaign: Campaign, limit: int = SHOWN) -> list[Panel]:
    """Return the best candidates as rows of the picture: relaxed ones alone where there are two or more of them."""
    chosen = [c for c in campaign.best if c.uuid]
    relaxed = [c for c in chosen if c.relaxed_well and c.id in campaign.relaxed]
    chosen = relaxed[:limit] if len(relaxed) > 1 else chosen[: min(limit, 2)]
    return [make_panel(campaign, candidate) for candidate in chosen]


def make_panel(campaign: Campaign, candidate: Candidate) -> Panel:
    """Return one row of the picture."""
    node = campaign.structure(candidate)
    if node is None:
        raise ValueError(f"{candidate.id}: its crystal is not in the graph")
    generated = node.get_pymatgen()
    relaxed = campaign.relaxed.get(candidate.id)
    after = match_cell(generated, relaxed.get_pymatgen()) if relaxed is not None else None
    target = main_property(campaign)
    row = candidate.row
    head = label_line(candidate.formula, row.get("spacegroup_symbol"), row.get("a") or generated.lattice.a)
    lines = [head]
    if target is not None:
        words = prediction_line(meanings(campaign.node, [target])[target], row)
        lines += words.replace(" = ", "\n= ").split("\n")  # no wider than its drawing
    values = generated_occupancy(node)
    origin = "" if values is not None else "of the rebuilt crystal,\n"
    return Panel(
        generated=generated,
        relaxed=after,
        field_note=f"{origin}occupancy ≥ {LEVEL:g}, cut at the cell,\ncoloured by element",
        generated_note="\n".join(lines),
        relaxed_note=relaxed_note(candidate),
        values=values,
    )


def label_line(formula: str, symbol: Any, a: Any) -> str:
    """Return formula, space group and lattice constant for matplotlib."""
    group = mathtext_spacegroup(symbol) if symbol else ""
    return f"{mathtext_formula(formula)}   {group}   $a$ = {number(a, '.3f')} Å"


def prediction_line(meaning: Meaning, row: dict[str, Any]) -> str:
    """Return the prediction with its uncertainty, under the name of what it is."""
    value, spread = row.get(f"{PREDICTED}{meaning.name}"), row.get(f"uncertainty_{meaning.name}")
    if value is None:
        return "no prediction"
    text = number(value, "+.2f").replace("-", "−")
    if isinstance(spread, (int, float)):
        text += f" ± {spread:.2f}"
    return f"predicted {meaning.short} = {text}" + (f" {meaning.unit}" if meaning.unit else "")


def relaxed_note(candidate: Candidate) -> str:
    """Return what DFT said in up to three lines."""
    relax = candidate.relax
    if not relax:
        return "no DFT"
    if candidate.failed:
        return "DFT failed" + (f" [{relax['exit_status']}]" if relax.get("exit_status") else "")
    change = number(relax.get("volume_change_percent"), "+.1f").replace("-", "−")
    moved = relax.get("rmsd_angstrom")
    # A crystal that DFT made another one of does not match any more, and no distance says how far its atoms went.
    far = "another structure now" if moved is None else f"atoms moved {number(moved, '.3f')} Å"
    lines = [
        label_line(candidate.formula, relax.get("spacegroup_symbol"), relax.get("a")),
        *verdict_lines(candidate),
        f"volume {change} %, {far}",
    ]
    return "\n".join(lines)


def match_cell(generated: Structure, relaxed: Structure) -> Structure:
    """Return the relaxed crystal in the setting of the generated one, so that both are drawn alike.

    DFT may have worked in another cell of the same crystal; where the two no longer match, it stays as it is.
    """
    from pymatgen.analysis.structure_matcher import StructureMatcher

    matcher = StructureMatcher(ltol=0.3, stol=0.5, angle_tol=10, primitive_cell=False, attempt_supercell=True)
    try:
        matched = matcher.get_s2_like_s1(generated, relaxed)
    except ValueError:
        # a cell that is no supercell of the other
        return relaxed
    return matched if matched is not None else relaxed


def verdict_lines(candidate: Candidate) -> list[str]:
    """Return the most trusted energy of the verdict; none where there is no verdict: a total energy says nothing."""
    for energy in ENERGIES:
        value = energy_of(candidate, energy)
        if value is not None:
            return [f"{energy.label}: {number(value, '+.2f').replace('-', '−')} eV/atom"]
    return []
