"""`aiida-icsg3d datasets`: list, show, import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from aiida.cmdline.params import types
from aiida.cmdline.utils import decorators

from .errors import in_one_sentence
from .models import FILE
from .root import cmd_root

DATASET = types.DataParamType(sub_classes=("aiida.data:icsg3d.dataset",))


@cmd_root.group("datasets")
def cmd_datasets() -> None:
    """Datasets of crystals in the profile."""


@cmd_datasets.command("list")
@decorators.with_dbenv()
def cmd_list() -> None:
    """List the datasets."""
    from .nodes import list_datasets

    list_datasets()


@cmd_datasets.command("show")
@click.argument("dataset", type=DATASET)
@decorators.with_dbenv()
def cmd_show(dataset: Any) -> None:
    """Show a DATASET: crystals, elements, properties, split, citation."""
    from .nodes import show_dataset

    show_dataset(dataset)


@cmd_datasets.command("import")
@FILE
@click.option("-l", "--label", default="", help="Label of the node.")
@decorators.with_dbenv()
def cmd_import(file: Path, label: str) -> None:
    """Store a dataset FILE (.h5); one that is there already is reused.

    `icsg3d prepare` builds such a file from a CSV with CIFs, a folder of CIFs, or extxyz.
    """
    from aiida.cmdline.utils import echo

    from ..data import CrystalDatasetData

    with in_one_sentence():
        node = CrystalDatasetData.get_or_create(file)
    if label:
        node.label = label
    echo.echo_success(f"dataset of {node.n_crystals} crystals, PK {node.pk}, hash {node.content_hash[:12]}")
