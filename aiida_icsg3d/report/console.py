"""What a person reads in the terminal at the end of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..campaigns.campaign import FUNNEL, Campaign, read_campaign
from ..campaigns.candidate import Candidate

if TYPE_CHECKING:
    from aiida.orm import ProcessNode

SHOWN = 10
HEADERS = ("formula", "space group", "a (Å)", "predicted E_f\n(eV/atom)", "DFT energy\n(eV/atom)", "volume\n(%)",
           "RMSD\n(Å)", "relaxed\nPK")  # fmt: skip


def number(value: Any, pattern: str = ".3f") -> str:
    """Return a number formatted, or a dash where there is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "-"
    return format(value, pattern)


def table_row(campaign: Campaign, candidate: Candidate, target: str | None) -> tuple[str, ...]:
    """Return the cells of one candidate, under :data:`HEADERS`."""
    row, relax = candidate.row, candidate.relax or {}
    well = candidate.relaxed_well
    relaxed = campaign.relaxed.get(candidate.id)
    a = relax.get("a") if well else row.get("a")
    group = (relax if well else row).get("spacegroup_symbol") or row.get("spacegroup_symbol") or "-"
    energy = number(relax.get("energy_per_atom_eV")) if well else failure_word(candidate)
    return (
        candidate.formula, str(group), number(a), number(row.get(f"predicted_{target}"), "+.3f"), energy,
        number(relax.get("volume_change_percent"), "+.1f"), number(relax.get("rmsd_angstrom")),
        str(relaxed.pk) if relaxed else "-",
    )  # fmt: skip


def failure_word(candidate: Candidate) -> str:
    """Return what stands where a DFT energy is missing."""
    if not candidate.failed:
        return "-"
    status = (candidate.relax or {}).get("exit_status")
    return f"failed [{status}]" if status else "failed"


def funnel_line(funnel: dict[str, int]) -> str:
    """Return the funnel in one line: sampled 64 → rebuilt 63 → ..."""
    line = " → ".join(f"{name} {funnel[name]}" for name in FUNNEL if name in funnel)
    failed = f" ({funnel['failed']} failed)" if funnel.get("failed") else ""
    return (line or "nothing sampled yet") + failed


def failure_lines(campaign: Campaign) -> list[str]:
    """Return one line for each relaxation that failed, with its reason."""
    failed = [(c, c.relax or {}) for c in campaign.selected if c.failed]
    return [
        f"  {c.formula} ({c.id}): {failure_word(c)}, {relax.get('reason') or 'no reason given'}" for c, relax in failed
    ]


def main_property(campaign: Campaign) -> str | None:
    """Return the predicted property that the table shows: formation energy where there is one."""
    names = campaign.properties
    return next((n for n in names if "formation_energy" in n), names[0] if names else None)


def readable(name: str) -> str:
    """Return the name of a property in words, an energy per atom with its unit."""
    if "energy" in name and name.endswith("_per_atom"):
        return name.removesuffix("_per_atom").replace("_", " ") + " (eV/atom)"
    return name.replace("_", " ")


def candidate_table(campaign: Campaign, limit: int = SHOWN) -> str:
    """Return the table of the best candidates."""
    from tabulate import tabulate

    target = main_property(campaign)
    rows = [table_row(campaign, candidate, target) for candidate in campaign.best[:limit]]
    if not rows:
        return "No candidate passed the screening."
    headers = list(HEADERS)
    if target and "formation_energy" not in target:
        headers[3] = f"predicted\n{target}"
    return tabulate(rows, headers=headers, disable_numparse=True, colalign=("left", "left", *["right"] * 6))


def summarise(workchain: ProcessNode) -> str:
    """Return the funnel, the best candidates and how to look further, as text for a terminal.

    :raises NotACampaignError: the node is no DiscoverWorkChain.
    """
    campaign = read_campaign(workchain)
    pk = workchain.pk
    ended = workchain.process_state.value if workchain.process_state else "created"
    if workchain.exit_status:
        ended += f" [{workchain.exit_status}] {workchain.exit_message}"
    lines = [funnel_line(campaign.funnel), "", candidate_table(campaign)]
    failures = failure_lines(campaign)
    if failures:
        lines += ["", "Relaxations that failed:", *failures]
    lines += [
        "",
        f"WorkChain PK {pk}: {ended}",
        "Look further:",
        f"  verdi process status {pk}",
        f"  verdi node graph generate {pk}",
        f"  aiida-icsg3d report {pk}",
    ]
    return "\n".join(lines)
