"""`aiida-icsg3d archive`: the archive of runs that a paper needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from aiida.cmdline.params import types
from aiida.cmdline.utils import echo

from ..errors import in_one_sentence, needs_profile


@click.command("archive")
@click.argument("runs", nargs=-1, required=True, type=types.WorkflowParamType(), metavar="RUN...")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Archive to write; otherwise icsg3d-PK.aiida here.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what it would hold and how large that is, and end.")
@needs_profile
def cmd_archive(runs: tuple[Any, ...], output: Path | None, dry_run: bool) -> None:
    """Write the archive that a paper needs, and beside it a page that says what is inside.

    Inside are the RUNs with all that they called and made, and all that they were made of: data, training, models.
    Fields, checkpoints and scratch stay where they are. Nothing is written over.
    """
    from ...report.archive import in_words, look_at, write_archive

    with in_one_sentence():
        chosen = list({run.uuid: run for run in runs}.values())
        contents = look_at(chosen)
        echo.echo(contents.text)
        if dry_run:
            return
        written, readme = write_archive(contents, output or Path(f"icsg3d-{chosen[0].pk}.aiida"))
    echo.echo(f"\n  {written} ({in_words(written.stat().st_size)})\n  {readme}")
