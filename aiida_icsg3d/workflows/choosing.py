"""Which of the selected candidates go to DFT, as a node made from what the pre-relaxation found."""

from __future__ import annotations

import math
from typing import Any

from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import calcfunction

from icsg3d_models.relaxation.table import read_table
from icsg3d_models.screening.selection import Entry, choose

from ..parsers.rebuild import link_label
from ..values import storable

USABLE = ("relaxed", "not_converged")
"""Ends of a pre-relaxation whose crystal is gone on with."""
UNKNOWN = ("unknown_element", "not_reached")
"""The potential says nothing of it, or had no time left for it; DFT may."""
KEPT = (
    "status", "potential", "energy_per_atom", "steps", "volume", "volume_change", "rmsd", "left_prototype",
    "spacegroup_before", "spacegroup_after", "symmetry", "estimated_formation_energy_per_atom",
    "estimated_e_above_hull", "stable", "decomposition", "known_formula", "spread", "reason",
)  # fmt: skip


@calcfunction
def choose_candidates(selected: orm.Dict, table: orm.SinglefileData, rule: orm.Dict, **crystals: Any) -> orm.Dict:
    """Return which candidates are to be relaxed by DFT, and how all of them stand after the pre-relaxation.

    Two candidates that became one crystal are taken once, and one that became what an earlier round tried is not
    taken. What blew up is set aside; a candidate with an element that the potential does not know, or that it did not
    get to, comes after all others, as it was generated.

    :param selected: `ids` of the screening, best first, and `rows`: id -> row of its table.
    :param table: relax.csv.
    :param rule: `count`, and `shares` by :func:`icsg3d_models.screening.selection.choose`.
    :param crystals: namespaces ``crystals``, the pre-relaxed crystals by id, and ``earlier``, tried by earlier rounds.
    :return: ``ids`` best first, ``chosen``: id -> why, ``rows``: id -> what was found, and ``set_aside``: id -> reason.
    """
    with table.as_path() as path:
        found = {link_label(row["id"]): row for row in read_table(path)}
    relaxed = crystals.get("crystals", {})
    rows: dict[str, dict[str, Any]] = {}
    set_aside: dict[str, str] = {}
    entries: list[Entry] = []
    for name in selected.get_dict()["ids"]:
        row = found.get(link_label(name), {"status": "not_reached", "reason": "not reached by the pre-relaxation"})
        rows[name] = {key: row[key] for key in KEPT if row.get(key) is not None}
        if row["status"] not in USABLE + UNKNOWN:
            set_aside[name] = f"pre-relaxation: {row['status']}: {row.get('reason') or 'no reason given'}"
            continue
        formula = str(row.get("formula") or selected.get_dict()["rows"][name].get("formula"))
        entries.append(Entry(name, formula, finite(row.get("estimated_e_above_hull")), finite(row.get("spread"))))
    entries.sort(key=lambda entry: (entry.value is None, entry.value or 0.0))
    for name, other in same_crystals(entries, relaxed, crystals.get("earlier", {})).items():
        whose = f"{other}, which an earlier round tried" if other in crystals.get("earlier", {}) else other
        set_aside[name] = f"pre-relaxation: became the crystal of {whose}"
    kept = [entry for entry in entries if entry.id not in set_aside]
    chosen = choose(kept, int(rule.get_dict()["count"]), rule.get_dict()["shares"])
    content = {
        "ids": [*(entry.id for entry in kept), *set_aside],
        "chosen": {choice.id: choice.why for choice in chosen},
        "rows": rows,
        "set_aside": set_aside,
    }
    return orm.Dict(storable(content))


def finite(value: float | None) -> float | None:
    """Return a number, None where there is none."""
    return value if value is not None and math.isfinite(value) else None


def same_crystals(
    entries: list[Entry], relaxed: dict[str, orm.StructureData], earlier: dict[str, orm.StructureData]
) -> dict[str, str]:
    """Return id -> id of the better candidate, or the earlier crystal, that is the same after the pre-relaxation.

    Compared within a reduced formula by pymatgen's StructureMatcher (ltol 0.2, stol 0.3, angle_tol 5).

    :param entries: the better one first.
    """
    from pymatgen.analysis.structure_matcher import StructureMatcher

    matcher = StructureMatcher()
    equal: dict[str, str] = {}
    seen: dict[str, list[tuple[str, Any]]] = {}
    for name, node in earlier.items():
        crystal = node.get_pymatgen()
        seen.setdefault(crystal.composition.reduced_formula, []).append((name, crystal))
    for entry in entries:
        mine = relaxed.get(link_label(entry.id))
        if mine is None:
            continue
        crystal = mine.get_pymatgen()
        others = seen.setdefault(crystal.composition.reduced_formula, [])
        same = next((name for name, other in others if matcher.fit(other, crystal)), None)
        if same is None:
            others.append((entry.id, crystal))
        else:
            equal[entry.id] = same
    return equal


def crystal(rebuild: Any, name: str) -> orm.StructureData:
    """Return one crystal of a rebuild job, without loading the thousands of others."""
    label = f"crystals__{link_label(name)}"
    node: Any = rebuild.base.links.get_outgoing(link_type=LinkType.CREATE, link_label_filter=label).one().node
    return node
