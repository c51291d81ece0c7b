"""What a dataset holds, in numbers and in a page of text: the first thing to look at before training on it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import Any

import numpy as np

from ..comparison.descriptors import describe, distances
from ..crystals.batch import Crystals
from ..crystals.elements import SYMBOLS

BINS = 10
SAME_VOLUME = 2e-3  # relative, per atom
SAME = 1e-3  # root mean square difference of descriptions; below, crystals are copies in whatever cell
_BARS = " ▁▂▃▄▅▆▇█"
_DETAIL = re.compile(r"\([^)]*\)|'[^']*'|\"[^\"]*\"")
_NAMED = re.compile(r"\b(site|label|block|species|row|property) \S+")


def kind_of(reason: str) -> str:
    """Return a reason of rejection without what is true of one crystal only, so that equal kinds can be counted."""
    text = _NAMED.sub(r"\1", _DETAIL.sub("", re.sub(r"^block .*?: ", "", reason)))
    text = re.split(r"[;:]| but ", text)[0]
    text = re.sub(r"\b[A-Z][a-z]?\d+( [A-Z][a-z]?\d+)*\b", "...", text)
    return " ".join(re.sub(r"-?\d+(\.\d+)?", "...", text).split()).rstrip(", ")


def duplicates_of(crystals: Crystals, formulas: list[str]) -> list[tuple[int, int]]:
    """Return pairs (crystal, earlier one) that are copies: one composition, volume and neighbours, in any cell."""
    density = crystals.volumes / np.maximum(crystals.counts, 1)
    groups: dict[str, list[int]] = defaultdict(list)
    for index, formula in enumerate(formulas):
        groups[formula].append(index)
    close: list[list[int]] = []
    for members in groups.values():
        ordered = sorted(members, key=lambda i: density[i])
        run = [ordered[0]]
        for index in ordered[1:]:
            if density[index] > density[run[-1]] * (1 + SAME_VOLUME):
                close.append(run)
                run = []
            run.append(index)
        close.append(run)
    suspects = sorted(index for run in close if len(run) > 1 for index in run)
    if not suspects:
        return []
    described = describe(crystals.take(suspects))
    place = {index: at for at, index in enumerate(suspects)}
    found = []
    for run in (sorted(run) for run in close if len(run) > 1):
        values = described.stack([place[i] for i in run])
        for at in range(1, len(run)):
            like = np.flatnonzero(distances(values[at], values[:at]) < SAME)
            alike = [run[e] for e in like if abs(density[run[e]] / density[run[at]] - 1) < SAME_VOLUME]
            if alike:
                found.append((run[at], alike[0]))
    return sorted(found)


def summarise(
    crystals: Crystals,
    formulas: list[str],
    properties: dict[str, np.ndarray],
    units: dict[str, str],
    rejected: list[dict[str, str]],
) -> dict[str, Any]:
    """Return the summary of a dataset: plain numbers, for JSON.

    :param formulas: B reduced formulas.
    :param properties: name -> (B,), NaN where missing.
    """
    owner = crystals.owner
    elements: Counter[str] = Counter()
    for z in np.unique(crystals.numbers):
        elements[SYMBOLS[z]] = len(np.unique(owner[crystals.numbers == z]))
    copies = duplicates_of(crystals, formulas)
    sizes, amounts = np.unique(crystals.counts, return_counts=True)
    return {
        "rejected": dict(Counter(kind_of(entry["reason"]) for entry in rejected).most_common()),
        "elements": dict(elements.most_common()),
        "sites": {str(int(n)): int(count) for n, count in zip(sizes, amounts, strict=True)},
        "duplicates": len(copies),
        "duplicate_pairs": [[crystals.ids[one], crystals.ids[other]] for one, other in copies[:100]],
        "properties": {name: _of_property(values, units.get(name, "")) for name, values in properties.items()},
    }


def _of_property(values: np.ndarray, unit: str) -> dict[str, Any]:
    known = values[np.isfinite(values)]
    found: dict[str, Any] = {"unit": unit, "known": len(known), "missing": len(values) - len(known)}
    if len(known):
        with np.errstate(over="ignore"):
            counts, edges = _histogram(known)
        found |= {
            "minimum": float(known.min()),
            "median": float(np.median(known)),
            "maximum": float(known.max()),
            "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
        }
    return found


def _histogram(known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return counts and edges; one bin where all values are as good as equal."""
    low, high = float(known.min()), float(known.max())
    if not high - low > 1e-12 * max(abs(low), abs(high)):
        return np.array([len(known)]), np.array([low, high])
    edges = np.linspace(low, high, BINS + 1) if np.isfinite(high - low) else np.array([low, high])
    return np.histogram(known, edges)[0], edges


def in_words(counts: dict[str, int], summary: dict[str, Any]) -> str:
    """Return the summary as text."""
    lines = [f"read {counts['read']}, used {counts['used']}, rejected {counts['rejected']}"]
    lines += [f"  {number:6d}  {kind}" for kind, number in summary["rejected"].items()]
    if assumed := summary.get("assumed"):
        lines += ["of the used:", *(f"  {number:6d}  {note}" for note, number in assumed.items())]
    shown = list(summary["elements"].items())
    lines.append(f"crystals with the {len(shown)} elements: " + " ".join(f"{s} {n}" for s, n in shown[:20])
                 + (" ..." if len(shown) > 20 else ""))  # fmt: skip
    sizes = [(int(n), count) for n, count in summary["sites"].items()]
    usual = sorted(sizes, key=lambda pair: -pair[1])[:8]
    lines.append(f"atoms in the cell: {sizes[0][0]} to {sizes[-1][0]}; "
                 + ", ".join(f"{n} ({count})" for n, count in sorted(usual)))  # fmt: skip
    lines.append(f"duplicates: {summary['duplicates']}"
                 + "".join(f", {a} is {b}" for a, b in summary["duplicate_pairs"][:3]))  # fmt: skip
    for name, found in summary["properties"].items():
        lines.append(f"{name}: {found['known']} values, {found['missing']} missing")
        if found["known"]:
            most = max(found["histogram"]["counts"])
            bars = "".join(_BARS[-(-8 * n // most)] for n in found["histogram"]["counts"])
            lines.append(f"  {found['minimum']:.4g} |{bars}| {found['maximum']:.4g} {found['unit']}".rstrip()
                         + f", median {found['median']:.4g}")  # fmt: skip
    if said := summary.get("outlook"):
        lines += ["before you train on it:", *(f"  {text}" for text in said)]
    return "\n".join(lines)
