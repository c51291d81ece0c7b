"""`aiida-icsg3d report`: write the report of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from aiida.cmdline.params import arguments

from ..errors import in_one_sentence, needs_profile


@click.command("report")
@arguments.PROCESS()
@click.option(
    "-o", "--output", type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write; default: icsg3d-report-PK here.",
)  # fmt: skip
@needs_profile
def cmd_report(process: Any, output: Path | None) -> None:
    """Write the report of a discovery run, or of a campaign of several, into a folder.

    The folder gets index.html (opens without network), candidates.csv, cifs.zip, metrics.json, a picture of the
    best candidates and the provenance graph of the best one. PROCESS is the PK or UUID of a DiscoverWorkChain
    or a CampaignWorkChain, which may still be running.
    """
    from aiida.cmdline.utils import echo

    from ...campaigns.rounds import is_campaign
    from ...report import write_report
    from ...report.console import summarise
    from ..endings import show_campaign

    folder = output or Path(f"icsg3d-report-{process.pk}")
    if is_campaign(process):
        show_campaign(process, folder)
        return
    with in_one_sentence():
        summary = summarise(process)
        files = write_report(process, folder)
    echo.echo(summary)
    echo.echo("")
    for path in files.values():
        echo.echo(f"  {path}")
    if "picture" not in files:
        echo.echo_report(
            "no pictures: no candidate is there yet, or matplotlib is not (`pip install aiida-icsg3d[report]`)"
        )
