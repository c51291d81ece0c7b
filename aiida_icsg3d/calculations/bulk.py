"""Storing thousands of nodes that one job created, with their links, in a few statements.

One by one, every node costs three commits to the disk and several queries: 10,000 crystals take many minutes.
Only nodes without files and with attributes alone are stored this way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.common import timezone
from aiida.common.hashing import make_hash
from aiida.common.links import LinkType
from aiida.engine import CalcJob
from aiida.orm import Data, ProcessNode, QueryBuilder
from aiida.orm.entities import EntityTypes
from aiida.orm.implementation.utils import clean_value


class StoresCrystals(CalcJob):
    """A job whose output namespace ``crystals`` holds thousands of nodes, which are stored together."""

    def update_outputs(self) -> None:
        """Attach new outputs, the crystals together."""
        fresh = {name: node for name, node in self._outputs.get("crystals", {}).items() if not node.is_stored}
        if fresh and self.metadata.store_provenance:
            stored = store_created(self.node, {f"crystals__{name}": node for name, node in fresh.items()})
            self._outputs["crystals"].update({name: stored[f"crystals__{name}"] for name in fresh})
        super().update_outputs()


def store_created(process: ProcessNode, nodes: Mapping[str, Data]) -> dict[str, Data]:
    """Store nodes as created by a process and return them, by the labels of their links.

    :param process: stored, not sealed.
    :param nodes: link label -> unstored node without files.
    :raises ValueError: a node is not valid, has files or is stored already; nothing is stored then.
    """
    now: Any = timezone.now()
    user: Any = process.user.pk
    rows = [node_row(node, user, now) for node in nodes.values()]
    backend: Any = process.backend
    labels = dict(zip((row["uuid"] for row in rows), nodes, strict=True))
    with backend.transaction():
        backend.bulk_insert(EntityTypes.NODE, rows)
        found = QueryBuilder(backend=backend).append(
            Data, filters={"ctime": {"==": now}, "user_id": user}, project=["id", "uuid"]
        )
        links = [
            {"input_id": process.pk, "output_id": pk, "label": labels[uuid], "type": LinkType.CREATE.value}
            for pk, uuid in found.iterall()
            if uuid in labels
        ]
        if len(links) != len(rows):
            raise RuntimeError(f"{len(rows)} nodes were inserted, but {len(links)} were found again")
        backend.bulk_insert(EntityTypes.LINK, links)
    query = QueryBuilder(backend=backend).append(ProcessNode, filters={"id": process.pk}, tag="process")
    query.append(Data, with_incoming="process", project=["*"], edge_project=["label"])
    stored = {label: node for node, label in query.iterall()}
    return {label: stored[label] for label in nodes}


def node_row(node: Data, user: int, now: Any) -> dict[str, Any]:
    """Return the row of the table of nodes, after the checks that storing would make."""
    if node.is_stored:
        raise ValueError(f"node {node.pk} is stored already")
    if node.base.repository.list_object_names():
        raise ValueError(f"{node.label}: nodes with files cannot be stored in bulk")
    node._validate_storability()
    node._validate()
    digest = make_hash(node.base.caching.get_objects_to_hash())
    return {
        "uuid": node.uuid,
        "node_type": node.node_type,
        "process_type": node.process_type,
        "label": node.label,
        "description": node.description,
        "ctime": now,
        "mtime": now,
        "attributes": clean_value(node.base.attributes.all),
        "extras": {node.base.caching._HASH_EXTRA_KEY: digest},
        "repository_metadata": {},
        "user_id": user,
        "dbcomputer_id": None,
    }
