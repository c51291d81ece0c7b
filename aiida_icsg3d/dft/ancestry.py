"""Where crystals and energies come from, found by walking up the graph once."""

from __future__ import annotations

from collections.abc import Callable, Collection

from aiida import orm
from aiida.common.links import LinkType

MAKE_CRYSTALS = tuple(f"aiida.calculations:icsg3d.{stage}" for stage in ("rebuild", "chain", "predict"))
"""Process types of the jobs that generated crystals come from."""

IsSource = Callable[[str | None, str | None], bool]
"""Process type and function name of a process -> whether it is one that is looked for."""


def coming_from(pks: Collection[int], is_source: IsSource) -> set[int]:
    """Return those of some nodes that come from a process that is looked for.

    Level by level, each node once, and not beyond jobs that make crystals: behind these stand models, and behind the
    fine-tuned ones of a campaign the crystals of all rounds before. A query for ancestors follows every path there.
    """
    children: dict[int, set[int]] = {}
    sources: set[int] = set()
    level, seen = set(pks), set(pks)
    while level:
        query = orm.QueryBuilder().append(orm.Node, filters={"id": {"in": sorted(level)}}, tag="child", project=["id"])
        query.append(
            orm.Node, with_outgoing="child", project=["id", "process_type", "attributes.function_name"],
            edge_filters={"type": {"in": [LinkType.CREATE.value, LinkType.INPUT_CALC.value]}},
        )  # fmt: skip
        above = set()
        for child, parent, kind, function in query.all():
            children.setdefault(parent, set()).add(child)
            if is_source(kind, function):
                sources.add(parent)
            elif kind not in MAKE_CRYSTALS and parent not in seen:
                above.add(parent)
        seen |= above
        level = above
    level, reached = sources, set(sources)
    while level:
        level = set().union(*(children.get(node, set()) for node in level)) - reached
        reached |= level
    return set(pks) & reached
