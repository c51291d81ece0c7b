"""Storing thousands of nodes that one job created, with their links, in a few statements.

One by one, every node costs three commits to the disk and several queries: 10,000 crystals take many minutes, from the
parser as well as from the cache. Only nodes without files and with attributes alone are stored this way.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any
from uuid import uuid4

from aiida import orm
from aiida.common import timezone
from aiida.common.hashing import make_hash
from aiida.common.links import LinkType
from aiida.engine import CalcJob
from aiida.orm import Data, ProcessNode, QueryBuilder
from aiida.orm.entities import EntityTypes
from aiida.orm.implementation.utils import clean_value
from aiida.orm.nodes.caching import NodeCaching

CRYSTALS = "crystals__"
CHECKED, INSERTED = 200, 1000
"""Nodes that are checked, and rows that are inserted, before others have their turn."""
COPIED = ("node_type", "process_type", "label", "description", "attributes")
"""Columns that a copy has from its source."""


class StoresCrystals(CalcJob):
    """A job whose output namespace ``crystals`` holds thousands of nodes, which are stored together."""

    def _setup_db_record(self) -> None:
        """Set the node up, and let it copy the outputs of a job in the cache together."""
        super()._setup_db_record()
        # The node is that of all CalcJobs, and AiiDA has no other place where a process could say how it is done.
        node: Any = self.node
        node._add_outputs_from_cache = partial(add_outputs_from_cache, node)

    async def run(self) -> Any:
        """Begin; a job from the cache has its outputs already, and its crystals are not loaded for that."""
        if self.node.exit_status is None:
            return await super().run()
        self._outputs = outputs_beside_crystals(self.node)
        return self.node.exit_status

    async def parse(self, *arguments: Any, **more: Any) -> Any:  # type: ignore[override]
        """Parse, and store the crystals; between the batches others that wait for this worker have their turn."""
        found = super().parse(*arguments, **more)
        fresh = self.fresh_crystals()
        now: Any = timezone.now()
        user: Any = self.node.user.pk
        rows: dict[str, dict[str, Any]] = {}
        for some in batched(fresh.items(), CHECKED):  # what is not valid is found before anything is stored
            rows |= {label: node_row(node, user, now) for label, node in some}
            await asyncio.sleep(0)
        for some_rows in batched(rows.items(), INSERTED):
            now = timezone.now()
            insert_created(self.node, {label: {**row, "ctime": now, "mtime": now} for label, row in some_rows})
            await asyncio.sleep(0)
        return found

    async def _perform_import(self) -> Any:
        """Parse what ran outside of AiiDA."""
        found = await super()._perform_import()
        return await found if inspect.isawaitable(found) else found

    def fresh_crystals(self) -> dict[str, Data]:
        """Return link label -> crystal of those outputs that are not stored yet."""
        crystals = self._outputs.get("crystals", {})
        if not crystals or not self.metadata.store_provenance:
            return {}
        linked = labels_of_outputs(self.node)  # asking 10,000 nodes whether they are stored costs a query each
        return {label: node for name, node in crystals.items() if (label := f"{CRYSTALS}{name}") not in linked}

    def update_outputs(self) -> None:
        """Attach new outputs, the crystals together.

        They do not stay among the outputs in memory, since every checkpoint of the process would ask for each of them.
        """
        if fresh := self.fresh_crystals():
            store_created(self.node, fresh)
        if self.metadata.store_provenance:
            self._outputs.pop("crystals", None)
        super().update_outputs()

    def execute(self) -> Any:
        """Run in the foreground; whoever waits for that gets the crystals, too."""
        found = super().execute()
        if self.metadata.store_provenance and (crystals := stored_crystals(self.node)):
            self._outputs["crystals"] = crystals
        return found


def batched(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Yield the items, so many at a time."""
    left = iter(items)
    while some := list(islice(left, size)):
        yield some


def outputs_beside_crystals(process: ProcessNode) -> dict[str, Data]:
    """Return label -> output of all outputs that are no crystals."""
    query = QueryBuilder(backend=process.backend).append(ProcessNode, filters={"id": process.pk}, tag="process")
    query.append(
        Data,
        with_incoming="process",
        project=["*"],
        edge_project=["label"],
        edge_filters={"type": LinkType.CREATE.value, "label": {"!like": CRYSTALS.replace("_", "\\_") + "%"}},
    )
    return {label: node for node, label in query.all()}


def stored_crystals(process: ProcessNode) -> dict[str, Data]:
    """Return name -> crystal of all crystals that a process created."""
    query = QueryBuilder(backend=process.backend).append(ProcessNode, filters={"id": process.pk}, tag="process")
    query.append(
        Data,
        with_incoming="process",
        project=["*"],
        edge_project=["label"],
        edge_filters={"label": {"like": CRYSTALS.replace("_", "\\_") + "%"}},
    )
    return {label.removeprefix(CRYSTALS): node for node, label in query.all()}


def labels_of_outputs(process: ProcessNode) -> set[str]:
    """Return the labels of the links to the outputs of a process, without loading these."""
    query = QueryBuilder(backend=process.backend).append(ProcessNode, filters={"id": process.pk}, tag="process")
    query.append(Data, with_incoming="process", edge_project=["label"])
    return set(query.all(flat=True))


def store_created(process: ProcessNode, nodes: Mapping[str, Data]) -> None:
    """Store nodes as created by a process. The nodes themselves stay as they are: load the stored ones by their UUIDs.

    :param process: stored, not sealed.
    :param nodes: link label -> unstored node without files.
    :raises ValueError: a node is not valid, has files or is stored already; nothing is stored then.
    """
    now: Any = timezone.now()
    user: Any = process.user.pk
    insert_created(process, {label: node_row(node, user, now) for label, node in nodes.items()})


def insert_created(process: ProcessNode, rows: Mapping[str, dict[str, Any]]) -> None:
    """Insert rows of the table of nodes, and links that say that a process created them; all or nothing.

    :param rows: link label -> row, all of one user and with one ``ctime``; not none.
    """
    backend: Any = process.backend
    labels = {row["uuid"]: label for label, row in rows.items()}
    one = next(iter(rows.values()))
    with backend.transaction():
        backend.bulk_insert(EntityTypes.NODE, list(rows.values()))
        found = QueryBuilder(backend=backend).append(
            Data, filters={"ctime": {"==": one["ctime"]}, "user_id": one["user_id"]}, project=["id", "uuid"]
        )
        links = [
            {"input_id": process.pk, "output_id": pk, "label": labels[uuid], "type": LinkType.CREATE.value}
            for pk, uuid in found.iterall()
            if uuid in labels
        ]
        if len(links) != len(rows):
            raise RuntimeError(f"{len(rows)} nodes were inserted, but {len(links)} were found again")
        backend.bulk_insert(EntityTypes.LINK, links)


def add_outputs_from_cache(process: ProcessNode, source: ProcessNode) -> None:
    """Give a job copies of the outputs of an equal one: the crystals together, the few others as AiiDA does it."""
    query = QueryBuilder(backend=process.backend).append(ProcessNode, filters={"id": source.pk}, tag="source")
    query.append(Data, with_incoming="source", project=["id", *COPIED, "extras"], edge_project=["label"])
    now: Any = timezone.now()
    user: Any = process.user.pk
    rows = {}
    for *values, extras, label in query.all():
        content = dict(zip(("id", *COPIED), values, strict=True))
        pk = content.pop("id")
        if not label.startswith(CRYSTALS):
            copy = orm.load_node(pk).clone()
            copy.base.links.add_incoming(process, link_type=LinkType.CREATE, link_label=label)
            copy.store()
            continue
        digest = extras.get(NodeCaching._HASH_EXTRA_KEY)
        rows[label] = row_of(now, user, {NodeCaching._HASH_EXTRA_KEY: digest}, **content)
    if rows:
        insert_created(process, rows)


def node_row(node: Data, user: int, now: Any) -> dict[str, Any]:
    """Return the row of the table of nodes, after the checks that storing would make."""
    if node.is_stored:
        raise ValueError(f"node {node.pk} is stored already")
    if node.base.repository.list_object_names():
        raise ValueError(f"{node.label}: nodes with files cannot be stored in bulk")
    node._validate_storability()
    node._validate()
    digest = make_hash(node.base.caching.get_objects_to_hash())
    return row_of(
        now, user, {NodeCaching._HASH_EXTRA_KEY: digest}, uuid=node.uuid, label=node.label,
        description=node.description, node_type=node.node_type, process_type=node.process_type,
        attributes=clean_value(node.base.attributes.all),
    )  # fmt: skip


def row_of(now: Any, user: int, extras: dict[str, Any], uuid: str | None = None, **content: Any) -> dict[str, Any]:
    """Return a row of the table of nodes.

    :param uuid: default: a new one.
    :param content: its columns that a node does not have from its storing.
    """
    return {
        "uuid": uuid or str(uuid4()),
        "ctime": now,
        "mtime": now,
        "extras": extras,
        "repository_metadata": {},
        "user_id": user,
        "dbcomputer_id": None,
        **content,
    }
