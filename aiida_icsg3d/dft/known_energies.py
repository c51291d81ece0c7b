"""Energies that this profile holds already, found by their settings."""

from __future__ import annotations

from collections.abc import Iterable

from aiida import orm
from aiida.common.links import LinkType

from .fingerprint import Settings

MAKE_CRYSTALS = [
    f"aiida.calculations:icsg3d.{stage}" for stage in ("rebuild", "chain", "predict")
]  # fmt: skip
"""Process types of the jobs that generated crystals come from."""


def elements_of(formula: str) -> set[str]:
    """Return the elements of a formula."""
    from pymatgen.core import Composition

    return {str(element) for element in Composition(formula).elements}


def generated_ones(energies: Iterable[orm.Dict]) -> set[int]:
    """Return the PKs of the energies whose crystal was generated: it comes from a job that rebuilt it.

    The graph is walked up level by level, each node once, and not beyond such a job: behind it stand models, and behind
    the fine-tuned ones of a campaign the crystals of all rounds before. A query for ancestors follows every path there.
    """
    pks = {node.pk for node in energies if node.pk is not None}
    children: dict[int, set[int]] = {}
    makers: set[int] = set()
    level, seen = pks, set(pks)
    while level:
        query = orm.QueryBuilder().append(orm.Node, filters={"id": {"in": sorted(level)}}, tag="child", project=["id"])
        query.append(
            orm.Node, with_outgoing="child", project=["id", "process_type"],
            edge_filters={"type": {"in": [LinkType.CREATE.value, LinkType.INPUT_CALC.value]}},
        )  # fmt: skip
        above = set()
        for child, parent, kind in query.all():
            children.setdefault(parent, set()).add(child)
            if kind in MAKE_CRYSTALS:
                makers.add(parent)
            elif parent not in seen:
                above.add(parent)
        seen |= above
        level = above
    level, reached = makers, set(makers)
    while level:
        level = set().union(*(children.get(node, set()) for node in level)) - reached
        reached |= level
    return pks & reached


def known_energies(settings: Settings, elements: Iterable[str]) -> list[orm.Dict]:
    """Return the energies of crystals of these elements that were computed with the same settings, oldest first.

    Of several energies of one formula all are returned: which is the lowest is for the hull to say.

    :param settings: what an energy of the campaign has.
    """
    allowed = set(elements)
    query = orm.QueryBuilder().append(
        orm.Dict, filters={"attributes.settings_hash": settings.hash, "attributes": {"has_key": "energy_per_atom_eV"}}
    )
    found = []
    for node in sorted(query.all(flat=True), key=lambda one: one.pk or 0):
        content = node.get_dict()
        if "formula" not in content or not elements_of(content["formula"]) <= allowed:
            continue
        if not settings.differences(Settings.from_dict(content["settings"])):  # of pseudopotentials, element by element
            found.append(node)
    return found
