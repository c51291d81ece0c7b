"""`aiida-icsg3d references`: energies of elements and competing phases, each computed once a setting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from aiida.cmdline.params import options
from aiida.cmdline.params.types import CodeParamType
from aiida.cmdline.utils import echo

from ..errors import in_one_sentence, needs_profile


@click.command("references")
@click.option("--elements", required=True, metavar="SYMBOLS", help="Elements of the hull, as in `Pb,Ti,O`.")
@click.option("--formula", "formulas", multiple=True, help="A compound that the hull should hold; may be repeated.")
@click.option("--structure", "structures", multiple=True, type=click.Path(exists=True, path_type=Path),
              help="A file with the structure of a competing phase (CIF, POSCAR ...); may be repeated.")  # fmt: skip
@click.option("--pw-code", default="pw@localhost", show_default=True,
              type=CodeParamType(entry_point="quantumespresso.pw"), help="Code of pw.x.")  # fmt: skip
@click.option("--protocol", type=click.Choice(["fast", "balanced", "stringent"]), default="fast", show_default=True)
@click.option("--pseudo-family", metavar="LABEL", help="Pseudopotential family; otherwise what is installed.")
@click.option("--most-sites", type=click.IntRange(min=1), help="Leave structures with more sites out.")
@click.option("--look-up", is_flag=True, help="Compute nothing: say what the profile holds and what is missing.")
@options.DRY_RUN(help="Say what would be computed, and end.")
@needs_profile
def cmd_references(elements: str, formulas: tuple[str, ...], structures: tuple[Path, ...], dry_run: bool,
                   look_up: bool, pw_code: Any, **given: Any) -> None:  # fmt: skip
    """Compute the energies that verdicts need: elements and competing phases, with the settings of a protocol.

    What the profile holds already with the same settings is not computed again.
    """
    from aiida import orm
    from aiida.engine import run_get_node
    from pymatgen.core import Structure

    from ...workflows.stability.references import ReferencesWorkChain

    with in_one_sentence():
        given_structures = {
            f"{path.stem.replace('-', '_')}": orm.StructureData(pymatgen=Structure.from_file(path))
            for path in structures
        }
        builder = ReferencesWorkChain.get_builder_from_protocol(
            pw_code, [symbol.strip() for symbol in elements.split(",")], list(formulas), given_structures,
            compute=not (look_up or dry_run), **given,
        )  # fmt: skip
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
