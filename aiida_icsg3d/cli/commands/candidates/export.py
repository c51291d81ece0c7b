"""`aiida-icsg3d candidates export`: crystals of a run as files for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from aiida.cmdline.params import arguments

from ...errors import in_one_sentence, needs_profile

FORMATS = ("cif", "extxyz", "pymatgen", "optimade")  # those of icsg3d_models.data.writers, which help must not import


@click.command("export")
@arguments.WORKFLOW("run")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("-F", "--format", "kind", type=click.Choice(FORMATS), default="cif", show_default=True,
              help="cif: a zip with a file each, or one file if the name ends in .cif.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Default: icsg3d-PK-FORMAT here.")
@click.option(
    "-c", "--crystals", type=click.Choice(["both", "generated", "relaxed"]), default="both", show_default=True
)
@click.option("-a", "--all", "everything", is_flag=True, help="Every screened crystal, not the selected ones alone.")
@needs_profile
def cmd_export(run: Any, ids: tuple[str, ...], kind: str, output: Path | None, crystals: str, everything: bool) -> None:
    """Write the selected crystals of a RUN, or those of some IDs, for other programs.

    Every crystal carries the UUID of its node, what was predicted, and what the verdict says.
    """
    from aiida.cmdline.utils import echo

    from ....campaigns.campaign import read_campaign
    from ....report.export import KINDS, entries_of, write_entries

    with in_one_sentence():
        if ids and everything:
            raise ValueError("IDs and --all are both given; give one of the two")
        campaign = read_campaign(run)
        chosen = [campaign.find(id) for id in ids] or (campaign.candidates if everything else campaign.best)
        entries = entries_of(campaign, chosen, KINDS if crystals == "both" else (crystals,))
        path = write_entries(entries, kind, output or Path(f"icsg3d-{run.pk}-{kind}"))
    echo.echo_success(f"{len(entries)} crystals in {path}")
