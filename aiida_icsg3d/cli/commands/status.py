"""`aiida-icsg3d status`: what runs, how far it is, what waits and what failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from aiida.cmdline.params import options, types
from aiida.cmdline.utils import echo

from ..errors import in_one_sentence, needs_profile
from ..tables import print_table

if TYPE_CHECKING:
    from ...campaigns.running.overview import Overview


@click.command("status")
@click.argument("runs", nargs=-1, type=types.WorkflowParamType(), metavar="[RUN]...")
@options.GROUP(help="Only runs of this group.")
@click.option(
    "-n", "--limit", default=10, show_default=True, type=click.IntRange(min=1), help="How many, newest first."
)
@needs_profile
def cmd_status(runs: tuple[Any, ...], group: Any, limit: int) -> None:
    """Show the runs of the profile, or some of them: state, stage, funnel, what is paused and what failed.

    RUN is the PK or UUID of a WorkChain of this plugin.
    """
    from ...campaigns.running.overview import overview
    from ...campaigns.running.overview import runs as all_runs
    from ...report.console import funnel_line

    with in_one_sentence():
        if runs and group is not None:
            raise ValueError("runs and a group are both given; name the runs, or the group")
        shown = [overview(run) for run in (runs or all_runs(group, limit))]
    print_table([row(run) for run in shown], ["PK", "started", "lasted", "run", "state", "stage", "funnel"],
                "no runs yet; start one with `aiida-icsg3d generate`")  # fmt: skip
    for run in shown:
        notes = [f"{run.node.pk}: {funnel_line(run.funnel)}"] if runs and run.funnel else []
        notes += notes_of(run)
        if notes:
            echo.echo("\n" + "\n".join(notes))
    going = [run for run in shown if not run.node.is_terminated]
    if going and not daemon_runs():
        echo.echo("\nThe daemon is not running: what was submitted stands still until `verdi daemon start`.")


def row(run: Overview) -> list[Any]:
    """Return the cells of a run."""
    from ...foreground.progress import duration

    node, left = run.node, [f"{name} {count}" for name, count in run.funnel.items() if name != "failed"]
    return [
        node.pk,
        f"{node.ctime:%Y-%m-%d %H:%M}",
        duration(run.lasted.total_seconds()),
        node.label or node.process_label,
        run.state,
        run.stage,
        " … ".join(dict.fromkeys([*left[:1], *left[-1:]])) or "-",
    ]


def notes_of(run: Overview) -> list[str]:
    """Return what is wrong with a run, and what to do."""
    notes = []
    for process, why in run.paused:
        notes.append(f"{run.node.pk}: {process.process_label}<{process.pk}> is paused: {why}")
    if run.paused:
        pks = " ".join(str(process.pk) for process, _ in run.paused)
        notes.append(f"  mend that, then `verdi process play {pks}`; or give up: `verdi process kill {run.node.pk}`")
    if run.left:
        notes.append(
            f"{run.node.pk}: the terminal that ran it is gone. The daemon can go on with it, in this order:\n"
            "  verdi daemon stop\n  verdi process repair\n  verdi daemon start"
        )
    if run.cause is not None:
        notes.append(f"{run.node.pk}: {run.cause.text}")
        notes.append(f"  the whole story: `verdi process report {run.node.pk}`")
    return notes


def daemon_runs() -> bool:
    """Tell whether the daemon of the profile runs."""
    from ...launch.readiness import daemon_runs as runs

    return runs()
