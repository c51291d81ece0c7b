"""`aiida-icsg3d references`: energies of elements and competing phases, each computed once a setting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from aiida.cmdline.params import options
from aiida.cmdline.utils import echo

from icsg3d_models.settings.relax import SHIPPED

from ..errors import in_one_sentence, needs_profile
from ..options import PROTOCOLS, CodeLabel, method_options


@click.command("references")
@click.option("--elements", required=True, metavar="SYMBOLS", help="Elements of the hull, as in `Pb,Ti,O`.")
@click.option("--formula", "formulas", multiple=True, help="A compound that the hull should hold; may be repeated.")
@click.option("--structure", "structures", multiple=True, type=click.Path(exists=True, path_type=Path),
              help="A file with the structure of a competing phase (CIF, POSCAR ...); may be repeated.")  # fmt: skip
@click.option("--code", default="icsg3d@localhost", show_default=True, type=CodeLabel(),
              help="Code of icsg3d, for the engine potential.")  # fmt: skip
@click.option("--pw-code", default="pw@localhost", show_default=True, type=CodeLabel(), help="Code of pw.x.")
@click.option("--protocol", type=click.Choice(PROTOCOLS), default="fast", show_default=True)
@click.option("--pseudo-family", metavar="LABEL", help="Pseudopotential family; otherwise what is installed.")
@method_options
@click.option(
    "--rank",
    type=click.Choice(SHIPPED),
    metavar="POTENTIAL",
    help="Where the structure of a compound is not known, relax the prototypes of its kind with this "
    "potential (7net-0 or chgnet) and take the lowest. Such a structure is a guess, and verdicts say so.",
)
@click.option("--most-sites", type=click.IntRange(min=1), help="Leave structures with more sites out.")
@click.option("--look-up", is_flag=True, help="Compute nothing: say what the profile holds and what is missing.")
@click.option(
    "--export",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the references (not what was generated) with their provenance into this AiiDA archive.",
)
@options.DRY_RUN(help="Say what would be computed, and end.")
@needs_profile
def cmd_references(elements: str, formulas: tuple[str, ...], structures: tuple[Path, ...], dry_run: bool,
                   look_up: bool, export: Path | None, **given: Any) -> None:  # fmt: skip
    """Compute the energies that verdicts need: elements and competing phases, with the settings of a protocol.

    What the profile holds already with the same settings is not computed again. Give the engine, spin, Hubbard terms
    and the file of overrides of the runs that are to be judged: energies of different settings never meet.
    """
    from aiida.engine import run_get_node

    from ...dft.known_energies import generated_ones
    from ...launch.references import References
    from ...setup.shipped_references import export_references

    with in_one_sentence():
        symbols = [symbol.strip() for symbol in elements.replace(",", " ").split()]
        request = References(symbols, formulas, structures, **{**given, "hubbard": given["hubbard"] or ()})
        builder = request.builder(compute=not (look_up or dry_run))
        echo.echo(request.method.describe())
        outputs, node = run_get_node(builder)
        if not node.is_finished_ok:
            echo.echo_critical(f"ReferencesWorkChain<{node.pk}>: {node.exit_message or node.process_state}")
        for energy in dict(outputs.get("energies", {})).values():
            content = energy.get_dict()
            echo.echo(f"{content['formula']:<12} {content['energy_per_atom_eV']:14.5f} eV/atom  settings "
                      f"{content['settings_hash']}")  # fmt: skip
        for name, reason in outputs["missing"].get_dict().items():
            echo.echo(f"{name:<12} missing: {reason}")
        echo.echo(f"ReferencesWorkChain<{node.pk}>")
        if export is not None:
            energies = dict(outputs.get("energies", {})).values()
            made = generated_ones(energies)
            export_references([energy for energy in energies if energy.pk not in made], export)
            echo.echo(f"{export}: {export.stat().st_size / 1e6:.1f} MB")
