"""`aiida-icsg3d generate`: the whole chain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from aiida.cmdline.utils import echo

from ..errors import in_one_sentence, needs_profile
from ..options import generation_options


@click.command("generate")
@generation_options
@needs_profile
def cmd_generate(submit: bool, dry_run: bool, group: str | None, output: Path | None, **given: Any) -> None:
    """Generate crystals, screen them and relax the best with DFT: the whole chain, in your own profile.

    The plan is shown first: how many jobs, where, and how long by the last runs.
    """
    from ...launch import check_ready, hand_over, plan_generation, run_here
    from ..endings import exit_as, say_submitted, show_generation
    from ..requests import generation_of

    with in_one_sentence():
        request = generation_of(given)
        if not dry_run:
            check_ready(request.find_codes().values(), submit)
        found = request.resolve(echo.echo, store=not dry_run)
        plan = plan_generation(request, found)
        builder = request.build(found)
        echo.echo(f"\n{plan.text}")
        if dry_run:
            return
        if submit:
            node = hand_over(builder, group)
            say_submitted(node, f"aiida-icsg3d status {node.pk}", f"aiida-icsg3d report {node.pk}")
            return
        node = run_here(builder, plan, group)
        show_generation(node, output)
    exit_as(node)
