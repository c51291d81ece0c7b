"""`aiida-icsg3d train`: data, dataset, U-Net, VAE, prior, and a CGCNN beside them."""

from __future__ import annotations

from typing import Any

import click
from aiida.cmdline.utils import echo

from ..errors import in_one_sentence, needs_profile
from ..options import training_options


@click.command("train")
@training_options
@needs_profile
def cmd_train(submit: bool, dry_run: bool, group: str | None, **given: Any) -> None:
    """Train your own models: data -> dataset -> U-Net -> VAE -> prior, and a CGCNN beside them, with provenance."""
    from ...launch import check_ready, hand_over, plan_training, run_here
    from ..endings import exit_as, say_submitted, show_training
    from ..requests import training_of

    with in_one_sentence():
        request = training_of(given)
        builder: Any = request.builder()
        plan = plan_training(request, builder)
        echo.echo(f"\n{plan.text}")
        if dry_run:
            return
        check_ready([builder.prior.train.code], submit)
        if submit:
            node = hand_over(builder, group)
            say_submitted(node, f"aiida-icsg3d status {node.pk}")
            return
        node = run_here(builder, plan, group)
        show_training(node)
    exit_as(node)
    echo.echo(f"generate with them:\n  aiida-icsg3d generate --models {node.pk}")
