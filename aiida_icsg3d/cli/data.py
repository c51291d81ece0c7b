"""`verdi data icsg3d`: list and show the data types of the plugin."""

from __future__ import annotations

from typing import Any

import click
from aiida.cmdline.commands.cmd_data import verdi_data
from aiida.cmdline.utils import decorators

from .datasets import DATASET
from .models import MODEL


@verdi_data.group("icsg3d")
def data_group() -> None:
    """Crystal datasets and trained models of aiida-icsg3d."""


@data_group.group("model")
def model_group() -> None:
    """Trained models."""


@model_group.command("list")
@decorators.with_dbenv()
def model_list() -> None:
    """List the trained models."""
    from .nodes import list_models

    list_models()


@model_group.command("show")
@click.argument("model", type=MODEL)
@decorators.with_dbenv()
def model_show(model: Any) -> None:
    """Show a MODEL with its card."""
    from .nodes import show_model

    show_model(model)


@data_group.group("dataset")
def dataset_group() -> None:
    """Datasets of crystals."""


@dataset_group.command("list")
@decorators.with_dbenv()
def dataset_list() -> None:
    """List the datasets."""
    from .nodes import list_datasets

    list_datasets()


@dataset_group.command("show")
@click.argument("dataset", type=DATASET)
@decorators.with_dbenv()
def dataset_show(dataset: Any) -> None:
    """Show a DATASET."""
    from .nodes import show_dataset

    show_dataset(dataset)
