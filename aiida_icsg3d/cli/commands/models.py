"""`aiida-icsg3d models`: list, show, import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from aiida.cmdline.groups.verdi import VerdiCommandGroup
from aiida.cmdline.params import types

from ..errors import in_one_sentence, needs_profile
from ..tables import flatten, print_table

MODEL = types.DataParamType(sub_classes=("aiida.data:icsg3d.model",))
FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@click.group("models", cls=VerdiCommandGroup)
def cmd_models() -> None:
    """Trained models in the profile."""


@cmd_models.command("list")
@needs_profile
def cmd_list() -> None:
    """List the trained models."""
    from aiida.orm import QueryBuilder

    from ...data import TrainedModelData

    query = QueryBuilder().append(TrainedModelData, tag="node").order_by({"node": {"ctime": "asc"}})
    rows = []
    for node in query.all(flat=True):
        made = f"trained by {node.creator.pk}" if node.creator else "imported"
        size = f"{node.base.attributes.get('n_bytes') / 1e6:.2f}"
        rows.append([node.pk, node.network, node.label, card_data(node.card), made, size, node.sha256[:12]])
    print_table(rows, ["PK", "network", "label", "data", "origin", "MB", "SHA-256"],
                "no trained models yet; import one with `aiida-icsg3d models import FILE`")  # fmt: skip


def card_data(card: dict[str, Any]) -> str:
    """Return the name of the data that a model card states, in a word."""
    data = card.get("data") or card.get("dataset") or "-"
    name = data.get("name", "-") if isinstance(data, dict) else data
    return str(name)[:40]


@cmd_models.command("show")
@click.argument("model", type=MODEL)
@needs_profile
def cmd_show(model: Any) -> None:
    """Show a MODEL with its card: data, split, seed, metrics."""
    rows = [["PK", model.pk], ["UUID", model.uuid], ["network", model.network], ["label", model.label],
            ["SHA-256", model.sha256], ["bytes", model.base.attributes.get("n_bytes")]]  # fmt: skip
    rows += flatten("card", model.card) + flatten("config", model.config)
    print_table(rows, [], "")


@cmd_models.command("import")
@FILE
@click.option("-l", "--label", default="", help="Label of the node.")
@needs_profile
def cmd_import(file: Path, label: str) -> None:
    """Store a model FILE (.safetensors, written by `icsg3d train`); a model that is there already is reused."""
    from aiida.cmdline.utils import echo

    from ...data import TrainedModelData

    with in_one_sentence():
        node = TrainedModelData.get_or_create(file)
    if label:
        node.label = label
    echo.echo_success(f"{node.network} model, PK {node.pk}, SHA-256 {node.sha256[:12]}")
