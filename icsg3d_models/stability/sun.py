"""S.U.N.: the share of what was generated that is stable, unique and novel.

The rule, after Zeni et al., MatterGen, Nature 639, 624 (2025), 10.1038/s41586-025-08628-5: every sample that was asked
for counts in the denominator. Stable: relaxed, and at most ``threshold`` above the reference hull. Unique: several
stable samples that are one crystal count once. Novel: the reference set does not hold the crystal. The hull is the
caller's, and so is what is novel; both belong beside the figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

THRESHOLD = 0.1  # eV/atom
ENERGY = "estimated_e_above_hull"


@dataclass(frozen=True)
class Sun:
    """Counts over the samples that were asked for.

    :param generated: that were asked for, whatever came of them.
    :param judged: of which an energy above the hull is known.
    :param stable: of them stable.
    :param unique: different crystals among the stable ones.
    :param sun: different crystals among those that are stable and novel; None where novelty was not judged.
    :param ids: of the crystals that ``sun`` counts, the most stable of each.
    """

    generated: int
    judged: int
    stable: int
    unique: int
    sun: int | None
    ids: tuple[str, ...]
    threshold: float

    @property
    def share(self) -> float | None:
        """Share of what was generated that is stable, unique and novel."""
        return None if self.sun is None else self.sun / self.generated

    def rule(self) -> str:
        """Return the rule in one sentence."""
        return (
            f"stable: relaxed, and at most {self.threshold:g} eV/atom above the reference hull (an estimate); unique: "
            "several stable samples that are one crystal count once; novel: not in the reference set; over all "
            f"{self.generated} samples asked for"
        )


def count_sun(
    relaxed: Iterable[Mapping[str, Any]],
    screened: Iterable[Mapping[str, Any]],
    generated: int,
    threshold: float = THRESHOLD,
    energy: str = ENERGY,
) -> Sun:
    """Count S.U.N. over two tables that are joined by ``id``.

    :param relaxed: rows with ``id`` and an energy above the hull in eV/atom, such as those of relax.csv.
    :param screened: rows with ``id``, ``duplicate_of`` (an id or None) and ``novel`` (None: not judged), such as those
        of screening.csv. Of the relaxed crystals, unless the definition is to be another.
    :param generated: samples asked for.
    :param energy: column of the energy above the hull.
    :raises ValueError: a stable crystal that was not screened, a circle of duplicates, or more rows than samples.
    """
    rows = {str(row["id"]): row for row in screened}
    heights = {str(row["id"]): float(row[energy]) for row in relaxed if row.get(energy) is not None}
    if max(len(rows), len(heights)) > generated:
        raise ValueError(f"{generated} samples were asked for, but the tables hold {max(len(rows), len(heights))}")
    stable = sorted((name for name in heights if heights[name] <= threshold), key=lambda name: (heights[name], name))
    missing = [name for name in stable if name not in rows]
    if missing:
        raise ValueError(f"{', '.join(missing[:5])}: relaxed, but not screened; screen the crystals of the same run")
    kinds: dict[str, str] = {}
    for name in stable:
        kinds.setdefault(first_of_kind(name, rows), name)
    judged = all(rows[name].get("novel") is not None for name in stable)
    fresh: dict[str, str] = {}
    for name in stable:
        if rows[name].get("novel"):
            fresh.setdefault(first_of_kind(name, rows), name)
    ids = tuple(fresh.values()) if judged else ()
    return Sun(generated, len(heights), len(stable), len(kinds), len(ids) if judged else None, ids, threshold)


def first_of_kind(name: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the first crystal that one is the same as.

    :raises ValueError: the duplicates go in a circle.
    """
    seen = {name}
    while (other := rows[name].get("duplicate_of") if name in rows else None) is not None:
        name = str(other)
        if name in seen:
            raise ValueError(f"{name} is a duplicate of itself")
        seen.add(name)
    return name
