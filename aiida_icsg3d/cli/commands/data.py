"""`aiida-icsg3d data`: list, show, and what has a file of its own."""

from __future__ import annotations

from typing import Any

import click
from aiida.cmdline.params import types

from ..errors import needs_profile
from ..lazy import Entry, LazyGroup
from ..tables import print_table

DATASET = types.DataParamType(sub_classes=("aiida.data:icsg3d.dataset",))


TABLE = {"import": Entry(".commands.data_import:cmd_import", "Store a dataset of crystals from any source.")}


@click.group("data", cls=LazyGroup, table=TABLE)
def cmd_data() -> None:
    """Datasets of crystals in the profile."""


@cmd_data.command("list")
@needs_profile
def cmd_list() -> None:
    """List the datasets."""
    from aiida.orm import QueryBuilder

    from ...data import CrystalDatasetData

    query = QueryBuilder().append(CrystalDatasetData, tag="node").order_by({"node": {"ctime": "asc"}})
    rows = []
    for node in query.all(flat=True):
        name = node.base.attributes.get("name")
        rows.append([node.pk, name, node.label, node.n_crystals, len(node.elements), ", ".join(node.properties) or "-",
                     node.content_hash[:12]])  # fmt: skip
    print_table(rows, ["PK", "name", "label", "crystals", "elements", "properties", "hash"],
                "no datasets yet; import one with `aiida-icsg3d import SOURCE`")  # fmt: skip


@cmd_data.command("show")
@click.argument("dataset", type=DATASET)
@needs_profile
def cmd_show(dataset: Any) -> None:
    """Show a DATASET: crystals, elements, properties, split, citation."""
    attributes = dataset.base.attributes
    parts = ", ".join(f"{part} {count}" for part, count in attributes.get("parts").items())
    properties = ", ".join(f"{name} ({unit})" if unit else name for name, unit in dataset.properties.items())
    rows = [["PK", dataset.pk], ["UUID", dataset.uuid], ["name", attributes.get("name")], ["label", dataset.label],
            ["citation", attributes.get("citation")], ["crystals", dataset.n_crystals], ["split", parts],
            ["elements", " ".join(dataset.elements)], ["properties", properties or "-"],
            ["content hash", dataset.content_hash]]  # fmt: skip
    print_table(rows, [], "")
