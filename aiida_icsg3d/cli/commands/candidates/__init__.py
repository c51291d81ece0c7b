"""`aiida-icsg3d candidates`: list, show, lineage, failures, duplicates, bands, dos, phonons, export."""

from __future__ import annotations

from typing import Any

import click
from aiida.cmdline.groups.verdi import VerdiCommandGroup
from aiida.cmdline.params import arguments, options, types

from ...errors import in_one_sentence, needs_profile
from ...tables import print_table
from .electrons import cmd_bands, cmd_dos
from .export import cmd_export
from .phonons import cmd_phonons

RUNS = click.argument("runs", nargs=-1, type=types.WorkflowParamType(), metavar="[RUN]...")
GROUP = options.GROUP(help="All runs of this group.")
STRUCTURE = types.DataParamType(sub_classes=("aiida.data:core.structure",))


def given_or_all(runs: tuple[Any, ...], group: Any) -> list[Any]:
    """Return the runs that were named, each once, or all discovery runs of a group or of the profile.

    :raises ValueError: runs and a group are both given.
    """
    from ....campaigns.questions import discover_workchains

    if runs and group is not None:
        raise ValueError("runs and a group are both given; name the runs, or the group")
    return list({run.uuid: run for run in runs}.values()) or discover_workchains(group)


@click.group("candidates", cls=VerdiCommandGroup)
def cmd_candidates() -> None:
    """Ask for candidates: the best, one of them, its history, what failed, what was found twice; export them."""


cmd_candidates.add_command(cmd_export)
cmd_candidates.add_command(cmd_bands)
cmd_candidates.add_command(cmd_dos)
cmd_candidates.add_command(cmd_phonons)


@cmd_candidates.command("list")
@RUNS
@GROUP
@click.option("-f", "--formula", help="Only this formula, for example PbTiO3.")
@click.option("-e", "--element", "elements", multiple=True, help="Only with this element; may be repeated.")
@click.option("-k", "--key", default="formation_energy_per_atom", show_default=True,
              help="Property, column of the table or value of the relaxation to rank by.")  # fmt: skip
@click.option("--descending", is_flag=True, help="Largest value first.")
@click.option("-n", "--limit", default=20, show_default=True, type=click.IntRange(min=1), help="How many to list.")
@needs_profile
def cmd_list(
    runs: tuple[Any, ...], group: Any, formula: str | None, elements: tuple[str, ...], key: str, descending: bool,
    limit: int,
) -> None:  # fmt: skip
    """List the selected candidates of some runs, best first; of all runs where none is named.

    With a formula or elements, every screened crystal that fits is listed, selected or not.
    """
    from ....campaigns.questions import find, ranking
    from ....report.console import number, table_row

    with in_one_sentence():
        chosen = given_or_all(runs, group)
        by_content = bool(formula or elements)
        try:
            found = find(chosen, formula, elements) if by_content else ranking(chosen, key, descending)
        except KeyError as exception:
            raise ValueError(exception.args[0]) from None
        rows = []
        for campaign, candidate in found[:limit]:
            formula_, group, a, _, done, volume, rmsd, relaxed = table_row(campaign, candidate, None)
            value = candidate.value(key)
            node = campaign.structure(candidate)
            rows.append([campaign.node.pk, candidate.id, node.pk if node else "-", formula_, group, a, number(value),
                         done, volume, rmsd, relaxed])  # fmt: skip
    headers = ["run", "id", "PK", "formula", "space group", "a (Å)", key.replace("_per_atom", "\n(per atom)"),
               "DFT", "volume\n(%)", "RMSD\n(Å)", "relaxed\nPK"]  # fmt: skip
    print_table(rows, headers, "no candidate fits; runs are listed by `verdi process list -a -L DiscoverWorkChain`")


@cmd_candidates.command("show")
@arguments.WORKFLOW("run")
@click.argument("candidate_id", metavar="ID")
@needs_profile
def cmd_show(run: Any, candidate_id: str) -> None:
    """Show all that is known of the candidate ID of a RUN."""
    from ....campaigns.campaign import read_campaign

    with in_one_sentence():
        campaign = read_campaign(run)
        candidate = campaign.find(candidate_id)
    node, relaxed = campaign.structure(candidate), campaign.relaxed.get(candidate.id)
    rows = [["structure", f"{node.pk} ({node.uuid})" if node else "-"],
            ["relaxed structure", f"{relaxed.pk} ({relaxed.uuid})" if relaxed else "-"]]  # fmt: skip
    rows += [[name, value] for name, value in candidate.row.items() if value is not None and name != "relax"]
    rows += [[f"DFT {name}", value] for name, value in (candidate.relax or {}).items() if value is not None]
    print_table(rows, [], "")


@cmd_candidates.command("lineage")
@click.argument("structure", type=STRUCTURE)
@needs_profile
def cmd_lineage(structure: Any) -> None:
    """Show where a crystal comes from: data set, training, models, sampling, rebuilding, screening, relaxation.

    STRUCTURE is the PK or UUID of a generated or a relaxed crystal.
    """
    from ....campaigns.lineage import lineage

    rows = []
    for stage, node in lineage(structure):
        what = node.base.attributes.get("process_label", None) or node.class_node_type.split(".")[-2]
        rows.append([stage, node.pk, node.uuid, what, node.label, f"{node.ctime:%Y-%m-%d %H:%M:%S}"])
    print_table(rows, ["stage", "PK", "UUID", "type", "label", "created"], "nothing is linked to this crystal")


@cmd_candidates.command("failures")
@arguments.WORKFLOW("run")
@needs_profile
def cmd_failures(run: Any) -> None:
    """Show which jobs and relaxations of a RUN failed, and why."""
    from aiida.orm import load_node

    from ....campaigns.questions import failures

    with in_one_sentence():
        rows = [
            [f.id, f.formula, f.exit_status, load_node(f.uuid).pk if f.uuid else "-", f.reason] for f in failures(run)
        ]
    print_table(rows, ["id or stage", "formula", "exit status", "PK", "reason"], "nothing failed")


@cmd_candidates.command("duplicates")
@RUNS
@GROUP
@needs_profile
def cmd_duplicates(runs: tuple[Any, ...], group: Any) -> None:
    """Show crystals that were selected more than once, within and across runs."""
    from icsg3d_models.crystals.formulas import chemical_formula

    from ....campaigns.campaign import read_campaign
    from ....campaigns.questions import duplicates

    with in_one_sentence():
        structures, origin = [], {}
        for campaign in map(read_campaign, given_or_all(runs, group)):
            for candidate in campaign.selected:
                node = campaign.structure(candidate)
                if node is not None:
                    structures.append(node)
                    origin[node.uuid] = f"{node.pk} (run {campaign.node.pk}, {candidate.id})"
        groups = duplicates(structures)
    rows = [
        [chemical_formula(group[0].get_formula()), len(group), ", ".join(origin[n.uuid] for n in group)]
        for group in groups
    ]
    print_table(rows, ["formula", "times", "crystals"], f"no duplicates among {len(structures)} selected crystals")
