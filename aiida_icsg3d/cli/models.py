"""`aiida-icsg3d models`: list, show, import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from aiida.cmdline.params import types
from aiida.cmdline.utils import decorators

from .errors import in_one_sentence
from .root import cmd_root

MODEL = types.DataParamType(sub_classes=("aiida.data:icsg3d.model",))
FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@cmd_root.group("models")
def cmd_models() -> None:
    """Trained models in the profile."""


@cmd_models.command("list")
@decorators.with_dbenv()
def cmd_list() -> None:
    """List the trained models."""
    from .nodes import list_models

    list_models()


@cmd_models.command("show")
@click.argument("model", type=MODEL)
@decorators.with_dbenv()
def cmd_show(model: Any) -> None:
    """Show a MODEL with its card: data, split, seed, metrics."""
    from .nodes import show_model

    show_model(model)


@cmd_models.command("import")
@FILE
@click.option("-l", "--label", default="", help="Label of the node.")
@decorators.with_dbenv()
def cmd_import(file: Path, label: str) -> None:
    """Store a model FILE (.safetensors, written by `icsg3d train`); a model that is there already is reused."""
    from aiida.cmdline.utils import echo

    from ..data import TrainedModelData

    with in_one_sentence():
        node = TrainedModelData.get_or_create(file)
    if label:
        node.label = label
    echo.echo_success(f"{node.network} model, PK {node.pk}, SHA-256 {node.sha256[:12]}")
