"""`aiida-icsg3d predict`: the crystal structures of a composition, as one job."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import click
from aiida.cmdline.utils import echo

from icsg3d_models.settings.relax import SHIPPED

from ..errors import in_one_sentence, needs_profile
from ..options import CodeLabel
from ..tables import print_table

SHOWN = 10


@click.command("predict")
@click.argument("composition", metavar="FORMULA")
@click.option("--most-atoms", type=click.IntRange(min=1), help="Try cells of every multiple up to so many atoms.")
@click.option(
    "--n-samples", type=click.IntRange(min=1), default=20, show_default=True, help="For each size of the cell."
)
@click.option("--space-group", type=click.IntRange(1, 230), help="Ask for this space group.")
@click.option("--guidance", type=float, default=2.0, show_default=True, help="How strictly what is asked is followed.")
@click.option("--potential", type=click.Choice(SHIPPED), help="Relax all crystals with it, and rank by energy.")
@click.option("--relax/--no-relax", default=True, show_default=True,
              help="Without: the energies of crystals as drawn, weighed with how often each came up.")  # fmt: skip
@click.option("--models", default="wide", show_default=True, metavar="SET", help="A pretrained set.")
@click.option("--code", default="icsg3d@localhost", show_default=True, type=CodeLabel(), help="Code of icsg3d.")
@click.option("--options", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="YAML: icsg3d or predict -> AiiDA's metadata.options.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--submit", is_flag=True, help="Hand it to the daemon and return at once.")
@needs_profile
def cmd_predict(composition: str, models: str, code: str, file: Path | None, submit: bool, potential: str | None,
                relax: bool, **asked: Any) -> None:  # fmt: skip
    """Predict the crystal structures of FORMULA, such as CaTiO3 or C8: sampled, grouped where equal, and ranked.

    Ranked by how many samples came to a crystal; with --potential by energy. Each distinct crystal is a node.
    """
    from aiida import engine, orm

    from ...calculations.prediction.predict import PredictCalculation
    from ...data.pretrained import pretrained_models
    from ...launch.job_options import job_options

    with in_one_sentence():
        settings = {"composition": composition, **{key: value for key, value in asked.items() if value is not None}}
        if potential is not None:
            settings |= {"potential": {"name": potential}, "relax": relax}
        loaded = orm.load_code(code)
        nodes = pretrained_models(models)
        builder: Any = PredictCalculation.get_builder()
        builder.code = loaded
        builder.settings = orm.Dict(settings)
        for name in ("vae", "unet", "prior"):
            if name not in nodes:
                raise ValueError(f"the set {models} has no {name}; `general` and `wide` have all that is needed")
            builder[name] = nodes[name]
        builder.metadata.options = job_options(file, {"icsg3d": loaded}, ["predict"]).get("predict", {})
        builder.metadata.label = f"structures of {composition}"
        if submit:
            echo.echo(f"submitted: PredictCalculation {engine.submit(builder).pk}")
            return
        outputs, node = engine.run_get_node(builder)
        if not node.is_finished_ok:
            echo.echo_critical(f"PredictCalculation<{node.pk}>: {node.exit_message or node.process_state}")
        rows = list(csv.DictReader(io.StringIO(outputs["table"].get_content())))
        columns = ["rank", "id", "formula", "n_atoms", "space_group", "found", "confidence"]
        columns += ["energy_per_atom"] if rows[0]["energy_per_atom"] else []
        heads = ["samples" if name == "found" else name.replace("_", " ") for name in columns]
        print_table([[row[name] for name in columns] for row in rows[:SHOWN]], heads, "no crystal")
        echo.echo(f"{len(rows)} distinct crystals; PredictCalculation {node.pk}, CIFs in its output `table`")
