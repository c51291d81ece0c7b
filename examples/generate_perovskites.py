"""Generate perovskites, screen them and relax the best with DFT: the whole chain, in your own profile.

verdi run examples/generate_perovskites.py --elements Pb Ti O --n-relaxations 2

The same as `aiida-icsg3d generate`, written out to show the Python interface: what is wanted, the plan, the run, and
what came out of it. `verdi run -- examples/generate_perovskites.py --help` lists the options.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from aiida_icsg3d.cli.endings import exit_as
from aiida_icsg3d.cli.errors import in_one_sentence, needs_profile
from aiida_icsg3d.cli.options import generation_options
from aiida_icsg3d.cli.requests import generation_of
from aiida_icsg3d.launch import Generation, check_ready, hand_over, plan_generation, run_here
from aiida_icsg3d.report import write_report
from aiida_icsg3d.report.console import summarise


def generate(wanted: Generation, output: Path | None, submit: bool, dry_run: bool, group: str | None) -> None:
    """Run the whole chain."""
    if not dry_run:
        check_ready(wanted.find_codes().values(), submit)  # a daemon, where one is needed
    found = wanted.resolve(print, store=not dry_run)  # codes, models, pseudopotentials, elements: or an error in words
    plan = plan_generation(wanted, found)
    builder = wanted.build(found)  # of the DiscoverWorkChain: change any input here
    print(f"\n{plan.text}")
    if dry_run:
        return
    if submit:
        node = hand_over(builder, group)
        print(f"DiscoverWorkChain PK {node.pk} submitted.\n  aiida-icsg3d status {node.pk}\n"
              f"  aiida-icsg3d report {node.pk}")  # fmt: skip
        return
    node = run_here(builder, plan, group)
    print(f"\n{summarise(node)}\n")
    files = write_report(node, output or Path("results") / str(node.pk))
    print("Written:\n" + "\n".join(f"  {path}" for path in files.values()))
    exit_as(node)  # in words where it did not end well


@click.command(help=(__doc__ or "").replace("\n", "\n\n", 2))
@generation_options
@needs_profile
def main(output: Path | None, submit: bool, dry_run: bool, group: str | None, **given: Any) -> None:
    """Read the options; in a script of your own: ``Generation(elements=["Pb", "Ti", "O"], n_samples=64)``."""
    with in_one_sentence():
        generate(generation_of(given), output, submit, dry_run, group)


if __name__ == "__main__":
    main(prog_name="verdi run examples/generate_perovskites.py")
