"""What the commands that start runs say at their end, and the exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiida.cmdline.utils import echo

if TYPE_CHECKING:
    from aiida.orm import ProcessNode


def say_submitted(node: ProcessNode, *further: str) -> None:
    """Say how to follow a run that was handed to the daemon."""
    lines = [f"{node.process_label} PK {node.pk} submitted.", f"verdi process status {node.pk}", *further]
    echo.echo("\n  ".join(lines))


def show_generation(node: ProcessNode, output: Path | None) -> None:
    """Show what came out of a discovery run and write its report.

    :param output: folder of the report; None: results/PK.
    """
    from ..report import write_report
    from ..report.console import summarise

    echo.echo(f"\n{summarise(node)}\n")
    files = write_report(node, output or Path("results") / str(node.pk)).values()
    echo.echo("Written:\n" + "\n".join(f"  {path}" for path in files))


def show_campaign(node: ProcessNode, output: Path | None) -> None:
    """Show what came out of a campaign and write its report.

    :param output: folder of the report; None: results/PK.
    """
    from ..campaigns.rounds import read_rounds
    from ..report.rounds import in_words, write_rounds

    echo.echo(f"\n{in_words(read_rounds(node))}\n")
    files = write_rounds(node, output or Path("results") / str(node.pk)).values()
    echo.echo("Written:\n" + "\n".join(f"  {path}" for path in files))


def show_training(node: ProcessNode) -> None:
    """Show the dataset and the models that came out of a training."""
    outputs: Any = node.outputs
    if "dataset" in outputs:
        counts = outputs.dataset.creator.outputs.results["counts"].items()
        echo.echo(f"dataset PK {outputs.dataset.pk}: " + ", ".join(f"{key} {value}" for key, value in counts))
    for network in (name for name in ("unet", "vae", "prior", "cgcnn") if name in outputs):
        model = outputs[network]
        metrics = model.card.get("metrics", {}).items()
        figures = ", ".join(f"{key} {value:.4g}" for key, value in metrics if isinstance(value, int | float))
        echo.echo(f"  {network:6s} PK {model.pk}  {figures}")


def exit_as(node: ProcessNode) -> None:
    """End with exit code 1 and the real reason where a run did not end well."""
    from ..campaigns.running.causes import cause_of

    cause = cause_of(node)
    if cause is None:
        return
    echo.echo(f"{node.process_label} PK {node.pk} did not end well: {node.exit_message or cause.words}", err=True)
    echo.echo(f"it began here: {cause.text}\nthe whole story: `verdi process report {node.pk}`", err=True)
    raise SystemExit(1)
