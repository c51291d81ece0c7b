"""Tables of models and datasets, shared by `aiida-icsg3d` and `verdi data icsg3d`."""

from __future__ import annotations

from typing import Any

from .candidates import print_table


def list_models() -> None:
    """Print the trained models of the profile, oldest first."""
    from aiida.orm import QueryBuilder

    from ..data import TrainedModelData

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


def show_model(node: Any) -> None:
    """Print one model with its card."""
    rows = [["PK", node.pk], ["UUID", node.uuid], ["network", node.network], ["label", node.label],
            ["SHA-256", node.sha256], ["bytes", node.base.attributes.get("n_bytes")]]  # fmt: skip
    rows += flatten("card", node.card) + flatten("config", node.config)
    print_table(rows, [], "")


def flatten(prefix: str, content: dict[str, Any]) -> list[list[Any]]:
    """Return nested content as rows of dotted names and values."""
    rows: list[list[Any]] = []
    for name, value in content.items():
        if isinstance(value, dict):
            rows += flatten(f"{prefix}.{name}", value)
        else:
            text = str(value)
            rows.append([f"{prefix}.{name}", text if len(text) <= 100 else f"{text[:97]}..."])
    return rows


def list_datasets() -> None:
    """Print the datasets of the profile, oldest first."""
    from aiida.orm import QueryBuilder

    from ..data import CrystalDatasetData

    query = QueryBuilder().append(CrystalDatasetData, tag="node").order_by({"node": {"ctime": "asc"}})
    rows = []
    for node in query.all(flat=True):
        name = node.base.attributes.get("name")
        rows.append([node.pk, name, node.label, node.n_crystals, len(node.elements), ", ".join(node.properties) or "-",
                     node.content_hash[:12]])  # fmt: skip
    print_table(rows, ["PK", "name", "label", "crystals", "elements", "properties", "hash"],
                "no datasets yet; import one with `aiida-icsg3d datasets import FILE`")  # fmt: skip


def show_dataset(node: Any) -> None:
    """Print one dataset."""
    attributes = node.base.attributes
    parts = ", ".join(f"{part} {count}" for part, count in attributes.get("parts").items())
    properties = ", ".join(f"{name} ({unit})" if unit else name for name, unit in node.properties.items())
    rows = [["PK", node.pk], ["UUID", node.uuid], ["name", attributes.get("name")], ["label", node.label],
            ["citation", attributes.get("citation")], ["crystals", node.n_crystals], ["split", parts],
            ["elements", " ".join(node.elements)], ["properties", properties or "-"],
            ["content hash", node.content_hash]]  # fmt: skip
    print_table(rows, [], "")
