"""`aiida-icsg3d doctor`: is everything there that a run needs?"""

from __future__ import annotations

from typing import Any

import click
from aiida.cmdline.params import options
from aiida.cmdline.utils import echo

from ..errors import in_one_sentence, needs_profile

COLOURS = {"ok": "green", "note": "yellow", "wrong": "red"}


@click.command("doctor")
@options.COMPUTER(help="Look at this computer and its codes only.")
@needs_profile
def cmd_doctor(computer: Any) -> None:
    """Check packages, profile, broker, daemon, computers, codes, pseudopotentials and space.

    Each line says how it is and what to do about it; the programs are run where their jobs run. Exit code 1 where
    something is wrong.
    """
    from ...setup.doctor import examine

    count = 0
    with in_one_sentence():
        for finding in examine(computer):
            count += finding.level == "wrong"
            level = click.style(f"{finding.level:5s}", fg=COLOURS[finding.level])
            echo.echo(f"{level}  {finding.what}: {finding.words}")
            if finding.todo:
                echo.echo(f"       -> {finding.todo}")
    if count:
        echo.echo_critical(f"{count} thing{'s' if count != 1 else ''} to mend")
