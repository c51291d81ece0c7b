"""`aiida-icsg3d campaign`: rounds of generation and DFT, each with what the rounds before it found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from aiida.cmdline.params.types import ProcessParamType
from aiida.cmdline.utils import echo
from click.core import ParameterSource

from ..errors import in_one_sentence, needs_profile
from ..options import generation_options

WITH_CONTINUE = ("earlier", "rounds", "stable_new", "core_hours", "patience", "submit", "dry_run", "group", "output")
OWN = ("rounds", "stable_new", "core_hours", "patience", "stable_within", "dataset", "tune_predictor", "tune_prior")


@click.command("campaign")
@click.option("--rounds", type=int, help="End after so many rounds in all; otherwise as the protocol says.")
@click.option("--stable-new", type=int, metavar="N", help="End when so many stable new crystals are found.")
@click.option("--core-hours", type=float, metavar="H", help="Begin no round after so many core-hours of DFT.")
@click.option("--patience", type=int, metavar="N", help="End after so many rounds without a stable new crystal.")
@click.option("--stable-within", type=float, metavar="EV", help="eV/atom above the hull that count as stable.")
@click.option("--dataset", metavar="PK", help="What the models were trained on; every round adds to it.")
@click.option(
    "--tune-predictor/--no-tune-predictor",
    default=None,
    help="Fine-tune the property models after each round; otherwise as the protocol says.",
)
@click.option(
    "--tune-prior/--no-tune-prior", default=None, help="Fine-tune the prior too, on --dataset and what was found."
)
@click.option(
    "--continue",
    "earlier",
    type=ProcessParamType(),
    metavar="PK",
    help="Go on with this campaign, ended or cut off; only the limits above are taken from here.",
)
@generation_options
@needs_profile
def cmd_campaign(submit: bool, dry_run: bool, group: str | None, output: Path | None, earlier: Any,
                 **given: Any) -> None:  # fmt: skip
    """Run rounds of generation, DFT and learning, until a limit is reached.

    Each round generates and judges as `generate` does, leaves out what earlier rounds tried, adds the verdicts to a
    dataset, and fine-tunes the property models with them. It can be stopped at any time and gone on with.
    """
    from ...campaigns.rounds import read_rounds
    from ...launch import check_ready, hand_over, plan_generation, run_here
    from ...launch.campaign import Campaign
    from ...launch.plan import plan_further
    from ...workflows.campaign.campaign import CampaignWorkChain
    from ..endings import exit_as, say_submitted, show_campaign
    from ..requests import generation_of

    with in_one_sentence():
        own = {name: given.pop(name) for name in OWN}
        if earlier is not None:
            refuse_other_options(click.get_current_context())
            check_ready(codes_of(earlier), submit)
            limits = {name: own[name] for name in OWN[:4] if own[name] is not None}
            builder: Any = CampaignWorkChain.get_builder_to_continue(earlier, **limits)
            left = int(builder.limits["rounds"]) - len(read_rounds(earlier).rounds)
            plan = plan_further(builder, left)
            echo.echo(f"going on with campaign {earlier.pk}; limits {builder.limits.get_dict()}")
        else:
            request = Campaign(generation_of(given), **own)
            if not dry_run:
                check_ready(request.generation.find_codes().values(), submit)
            found = request.resolve(echo.echo, store=not dry_run)
            plan = plan_generation(request.generation, found)
            builder = request.build(found)
            limits = builder.limits.get_dict()
            echo.echo(f"\nlimits: {', '.join(f'{name} {value:g}' for name, value in limits.items())}; each round:")
            echo.echo(plan.text)
        if dry_run:
            return
        if submit:
            node = hand_over(builder, group)
            say_submitted(node, f"aiida-icsg3d status {node.pk}", f"aiida-icsg3d report {node.pk}")
            return
        node = run_here(builder, plan, group)
        show_campaign(node, output)
    exit_as(node)


def refuse_other_options(ctx: click.Context) -> None:
    """Refuse what --continue would not heed: everything but the limits and how the run is started.

    :raises ValueError: naming the options.
    """
    given = [name for name in ctx.params if ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE]
    flags = {parameter.name: parameter.opts[0] for parameter in ctx.command.params}
    if ignored := [flags[name] for name in given if name not in WITH_CONTINUE]:
        accepted = ", ".join(flags[name] for name in WITH_CONTINUE[1:])
        raise ValueError(
            f"{', '.join(ignored)} cannot be given with --continue, which goes on with what the campaign was given; "
            f"accepted are {accepted}. Start a new campaign for anything else"
        )


def codes_of(campaign: Any) -> list[Any]:
    """Return the codes that a campaign was given."""
    from aiida.orm import AbstractCode

    return [link.node for link in campaign.base.links.get_incoming().all() if isinstance(link.node, AbstractCode)]
