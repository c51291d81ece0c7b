"""`aiida-icsg3d data import`."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import in_one_sentence, needs_profile
from .models import FILE


@click.command("import")
@FILE
@click.option("-l", "--label", default="", help="Label of the node.")
@needs_profile
def cmd_import(file: Path, label: str) -> None:
    """Store a dataset FILE (.h5); one that is there already is reused.

    `icsg3d prepare` builds such a file from a CSV with CIFs, a folder of CIFs, or extxyz.
    """
    from aiida.cmdline.utils import echo

    from ...data import CrystalDatasetData

    with in_one_sentence():
        node = CrystalDatasetData.get_or_create(file)
    if label:
        node.label = label
    echo.echo_success(f"dataset of {node.n_crystals} crystals, PK {node.pk}, hash {node.content_hash[:12]}")
