"""Train your own models: data -> dataset -> U-Net -> VAE -> prior, and a CGCNN beside them, all with provenance.

verdi run examples/train_perovskites.py --source perovskites.csv --property formation_energy_per_atom=heat_all

verdi run examples/generate_perovskites.py --models PK

The same as `aiida-icsg3d train`, written out to show the Python interface.
"""

from __future__ import annotations

from typing import Any

import click

from aiida_icsg3d.cli.endings import exit_as, show_training
from aiida_icsg3d.cli.errors import in_one_sentence, needs_profile
from aiida_icsg3d.cli.options import training_options
from aiida_icsg3d.cli.requests import training_of
from aiida_icsg3d.launch import Training, check_ready, hand_over, plan_training, run_here


def train(wanted: Training, submit: bool, dry_run: bool, group: str | None) -> None:
    """Build the dataset where there is none, and train all networks."""
    builder = wanted.builder()  # of the TrainAllWorkChain: change any input here
    plan = plan_training(wanted, builder)
    print(plan.text)
    if dry_run:
        return
    check_ready([builder.unet.train.code], submit)
    if submit:  # the dataset is built by the daemon, too
        node = hand_over(builder, group)
        print(f"TrainAllWorkChain PK {node.pk} submitted; `aiida-icsg3d status {node.pk}`")
        return
    node = run_here(builder, plan, group)
    show_training(node)
    exit_as(node)
    print(f"generate with them:\n  verdi run examples/generate_perovskites.py --models {node.pk}")


@click.command(help=__doc__)
@training_options
@needs_profile
def main(submit: bool, dry_run: bool, group: str | None, **given: Any) -> None:
    """Read the options; in a script of your own: ``Training(dataset=PK, epochs={"unet": 6})``."""
    with in_one_sentence():
        train(training_of(given), submit, dry_run, group)


if __name__ == "__main__":
    main(prog_name="verdi run examples/train_perovskites.py")
