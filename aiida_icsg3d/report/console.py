"""What a person reads in the terminal at the end of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..campaigns.campaign import FUNNEL, Campaign, read_campaign
from ..campaigns.candidate import Candidate
from ..campaigns.predicted import meanings
from ..campaigns.verdict import ENERGIES, energy_of
from ..campaigns.verdict import in_words as verdict_in_words

if TYPE_CHECKING:
    from aiida.orm import ProcessNode

SHOWN = 10
HEADERS = ("formula", "space group", "a (Å)", "predicted", "DFT", "volume\n(%)", "RMSD\n(Å)",
           "relaxed\nPK")  # fmt: skip


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
    done = "relaxed" if well else failure_word(candidate)
    return (
        candidate.formula, str(group), number(a), number(row.get(f"predicted_{target}"), "+.3f"), done,
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


def candidate_table(campaign: Campaign, limit: int = SHOWN) -> str:
    """Return the table of the best candidates: energies of the verdict first, where there are any."""
    from tabulate import tabulate

    best = campaign.best[:limit]
    if not best:
        return "No candidate passed the screening."
    target = main_property(campaign)
    shown = [energy for energy in ENERGIES if any(energy_of(c, energy) is not None for c in best)]
    rows = []
    for candidate in best:
        formula, *rest = table_row(campaign, candidate, target)
        rows.append([formula, *(number(energy_of(candidate, energy), "+.3f") for energy in shown), *rest])
    headers = [HEADERS[0], *(f"{energy.label.replace(', ', chr(10))}\n(eV/atom)" for energy in shown), *HEADERS[1:]]
    notes = []
    if target is not None:
        meaning = meanings(campaign.node, [target])[target]
        headers[headers.index("predicted")] = "\n".join(
            ["predicted", meaning.short, *([f"({meaning.unit})"] * bool(meaning.unit))]
        )
        notes = ["", f"predicted {meaning.short}: {meaning.sentence}"]
    align = ["left", *["right"] * len(shown), "left", *["right"] * 6]
    return "\n".join([tabulate(rows, headers=headers, disable_numparse=True, colalign=align), *notes])


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
    if campaign.best:
        lines = [verdict_in_words(campaign.best[0]), *lines]
    if "novel" in campaign.funnel:
        lines.append("novel: not in the data that the models were trained on, which does not mean unknown")
    lines += campaign.notes
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
