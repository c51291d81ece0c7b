"""`aiida-icsg3d candidates phonons`: are the relaxed candidates minima, by DFT."""

from __future__ import annotations

from typing import Any

import click
from aiida.cmdline.params import arguments

from ...errors import in_one_sentence, needs_profile


@click.command("phonons")
@arguments.WORKFLOW("run")
@click.argument("candidate_ids", metavar="[ID]...", nargs=-1)
@click.option("--supercell", nargs=3, type=click.IntRange(min=1), default=(1, 1, 1), show_default=True,
              help="Multiples of the cell; 1 1 1: the modes of the cell itself.")  # fmt: skip
@click.option("--displacement", type=float, default=0.03, show_default=True, help="Å, by which sites are moved.")
@click.option("--threshold", type=float, default=0.3, show_default=True,
              help="THz; below minus this a mode counts as imaginary.")  # fmt: skip
@click.option("--follow/--no-follow", default=True, show_default=True,
              help="Relax along an imaginary mode, once.")  # fmt: skip
@click.option("--submit", is_flag=True, help="Hand them to the daemon and return at once.")
@needs_profile
def cmd_phonons(run: Any, candidate_ids: tuple[str, ...], submit: bool, **settings: Any) -> None:
    """Compute phonons of relaxed candidates of a RUN by pw.x; of all of them where no ID is given.

    Frozen phonons with the settings of the relaxations, on supercells that phonopy makes. The report of the run says
    what they found.
    """
    from aiida import engine

    from ....campaigns.campaign import read_campaign
    from ....campaigns.properties.phonons import in_words
    from ....workflows.stability.phonons import PhononsWorkChain

    settings["supercell"] = list(settings["supercell"])
    with in_one_sentence():
        campaign = read_campaign(run)
        builders = [
            (candidate, PhononsWorkChain.get_builder_of(campaign.relaxed[candidate.id], **settings))
            for candidate in campaign.relaxed_ones(candidate_ids)
        ]
        for candidate, builder in builders:
            node = engine.submit(builder) if submit else engine.run_get_node(builder)[1]
            said = "submitted" if submit else in_words(node) if node.is_finished_ok else node.exit_message
            click.echo(f"{candidate.formula} {candidate.id}: {said} (PhononsWorkChain {node.pk})")
