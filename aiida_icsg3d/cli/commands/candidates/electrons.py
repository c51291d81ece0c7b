"""`aiida-icsg3d candidates bands` and `dos`: what the electrons of relaxed candidates do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from aiida.cmdline.params import arguments

from ...errors import in_one_sentence, needs_profile


@click.command("bands")
@arguments.WORKFLOW("run")
@click.argument("candidate_ids", metavar="[ID]...", nargs=-1)
@click.option("--submit", is_flag=True, help="Hand them to the daemon and return at once.")
@needs_profile
def cmd_bands(run: Any, candidate_ids: tuple[str, ...], submit: bool) -> None:
    """Compute bands of relaxed candidates of a RUN along their paths; of all of them where no ID is given.

    With the settings of their relaxations, by PwBandsWorkChain. The report of the run shows them.
    """
    from ....campaigns.properties.bands import bands_of
    from ....dft.quantum_espresso.pw_bands import bands_builder

    with in_one_sentence():
        compute(run, candidate_ids, submit, bands_builder, bands_of)


@click.command("dos")
@arguments.WORKFLOW("run")
@click.argument("candidate_ids", metavar="[ID]...", nargs=-1)
@click.option("--dos-code", metavar="CODE", default="dos@localhost", show_default=True, help="Code of dos.x.")
@click.option("--projwfc-code", metavar="CODE", default="projwfc@localhost", show_default=True,
              help="Code of projwfc.x.")  # fmt: skip
@click.option("--submit", is_flag=True, help="Hand them to the daemon and return at once.")
@needs_profile
def cmd_dos(run: Any, candidate_ids: tuple[str, ...], dos_code: str, projwfc_code: str, submit: bool) -> None:
    """Compute densities of states of relaxed candidates of a RUN; of all of them where no ID is given.

    Total and by element, with the settings of their relaxations, by PdosWorkChain. The report of the run shows them.
    """
    from ....campaigns.properties.dos import densities_of
    from ....dft.quantum_espresso.pw_dos import dos_builder
    from ....setup.codes import find_code

    with in_one_sentence():
        codes = (find_code(dos_code, "quantumespresso.dos", "dos.x"),
                 find_code(projwfc_code, "quantumespresso.projwfc", "projwfc.x"))  # fmt: skip
        compute(run, candidate_ids, submit, lambda structure: dos_builder(structure, *codes), densities_of)


def compute(
    run: Any, candidate_ids: tuple[str, ...], submit: bool, build: Callable[[Any], Any], found_of: Callable[[Any], Any]
) -> None:
    """Run or submit a WorkChain for each of the candidates, and say what came out."""
    from aiida import engine

    from ....campaigns.campaign import read_campaign

    campaign = read_campaign(run)
    chosen = campaign.relaxed_ones(candidate_ids)
    builders = [build(campaign.relaxed[candidate.id]) for candidate in chosen]
    for candidate, builder in zip(chosen, builders, strict=True):
        node = engine.submit(builder) if submit else engine.run_get_node(builder)[1]
        found = None if submit else found_of(campaign.relaxed[candidate.id])
        said = "submitted" if submit else found.words if found and node.is_finished_ok else node.exit_message
        click.echo(f"{candidate.formula} {candidate.id}: {said} ({node.process_label} {node.pk})")
