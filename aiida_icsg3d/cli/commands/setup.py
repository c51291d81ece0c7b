"""`aiida-icsg3d setup`: computers and codes."""

from __future__ import annotations

from pathlib import Path

import click
from aiida.cmdline.utils import echo

from ..errors import in_one_sentence, needs_profile

PROGRAM = click.Path(path_type=Path)
TEMPLATES = ("slurm", "pbs", "apptainer", "localhost")
FOLLOWS = """
next, in this order:
  verdi daemon start
  verdi computer test {computer}
  aiida-icsg3d doctor"""


@click.command("setup")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--template", type=click.Choice(TEMPLATES), help="Print a FILE to start from, and end.")
@click.option("--pw", type=PROGRAM, help="This machine: path of pw.x; otherwise that on the PATH.")
@click.option("--no-pw", is_flag=True, help="This machine: no DFT, so neither pw.x nor pseudopotentials.")
@click.option("--icsg3d", type=PROGRAM, help="This machine: path of icsg3d; otherwise that beside this Python.")
@click.option("--workdir", type=PROGRAM, help="This machine: where jobs run.")
@click.option("--pseudo-family", metavar="LABEL",
              help="Pseudopotential family; otherwise found, downloaded or made from Debian's files.")  # fmt: skip
@click.pass_context
def cmd_setup(ctx: click.Context, file: Path | None, template: str | None, **local: object) -> None:
    """Make a computer and its codes: of the cluster that FILE describes, or of this machine.

    `aiida-icsg3d setup --template slurm > cluster.yaml` writes a FILE to start from. Run again with the same FILE,
    nothing changes; with another path, the code of before is kept under another label.
    """
    if template is not None:
        from ...setup.templates import template_text

        echo.echo(template_text(template), nl=False)
        return
    with in_one_sentence():
        given = [name for name, value in local.items() if value and name != "pseudo_family"]
        if file is not None and given:
            flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            raise ValueError(f"{flags}: for this machine only; what FILE describes stands in FILE")
    ctx.invoke(set_up, file=file, **local)


@needs_profile
def set_up(
    file: Path | None, pw: Path | None, no_pw: bool, icsg3d: Path | None, workdir: Path | None,
    pseudo_family: str | None,
) -> None:  # fmt: skip
    """Set up what is asked for and say how to go on."""
    from ...dft.pseudos import choose_family
    from ...setup.cluster import set_up as set_up_cluster
    from ...setup.cluster_file import read_cluster
    from ...setup.localhost import set_up_localhost

    with in_one_sentence():
        if file is None:
            set_up_localhost(pw, icsg3d, workdir, pseudo_family, dft=not no_pw, say=echo.echo)
            echo.echo("\nnext:\n  aiida-icsg3d doctor\n  aiida-icsg3d generate")
            return
        cluster = read_cluster(file)
        set_up_cluster(cluster, echo.echo)
        if cluster.pw is not None:
            family = choose_family(pseudo_family, say=echo.echo)
            echo.echo(f"pseudopotentials {family.label}: {', '.join(sorted(family.elements))}")
        echo.echo(FOLLOWS.format(computer=cluster.label))
