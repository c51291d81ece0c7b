"""What a run says a candidate is worth: energies above a hull, what the hull holds, whether it is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .candidate import Candidate


class Energy(NamedTuple):
    """A kind of energy that a verdict can hold, in eV/atom.

    :param key: column of the table, or entry of the relaxation.
    :param hull: entry that describes the hull, or the references.
    """

    key: str
    label: str
    hull: str


ENERGIES = (
    Energy("dft_e_above_hull", "above hull, DFT", "dft_hull"),
    Energy("dft_formation_energy", "formation energy, DFT", "dft_hull"),
    Energy("estimated_e_above_hull", "above hull, estimate", "estimated_hull"),
)
"""In the order of trust; those that no candidate has are not shown."""


def energy_of(candidate: Candidate, energy: Energy) -> float | None:
    """Return an energy of a verdict in eV/atom, None where there is none."""
    return candidate.value(energy.key)


def hull_in_words(candidate: Candidate, energy: Energy) -> str:
    """Return what the hull holds, as in `LDA, 9 phases`; empty where nothing is said of it."""
    hull: Any = next((s[energy.hull] for s in (candidate.row, candidate.relax or {}) if s.get(energy.hull)), None)
    if not isinstance(hull, Mapping):
        return str(hull or "")
    phases = hull.get("phases")
    count = len(phases) if isinstance(phases, (list, tuple)) else phases
    parts = [str(hull[key]) for key in ("functional", "potential", "source") if hull.get(key)]
    if isinstance(count, int):
        parts.append(f"{count} phase{'' if count == 1 else 's'}")
    missing = hull.get("missing")
    if missing:
        parts.append(f"without {', '.join(map(str, missing)) if isinstance(missing, (list, tuple)) else missing}")
    return ", ".join(parts)


def familiarity(candidate: Candidate) -> str:
    """Return whether the crystal is known, as far as was looked; never more than was looked up."""
    known = candidate.row.get("known")
    if known not in (None, False, "", "False"):
        return "known" if known in (True, "True") else f"known ({known})"
    novel = candidate.row.get("novel")
    if novel is None:
        return "not compared with the training data"
    return "not in the training data" if novel else "in the training data"


def in_words(candidate: Candidate) -> str:
    """Return the verdict on a candidate in one line: `PbTiO3, 0.00 eV/atom above the hull (LDA, 9 phases), known`."""
    for energy in ENERGIES:
        value = energy_of(candidate, energy)
        if value is None:
            continue
        kind = "estimate, " if "estimate" in energy.label else ""
        words = f"{kind}{hull_in_words(candidate, energy)}".rstrip(", ")
        what = "above the hull" if "hull" in energy.label.split(",")[0] else "formation energy"
        return (
            f"{candidate.formula}, {value:.2f} eV/atom {what}{f' ({words})' if words else ''}, {familiarity(candidate)}"
        )
    if candidate.failed:
        return f"{candidate.formula}, relaxation failed, {familiarity(candidate)}"
    done = "relaxed by DFT" if candidate.relaxed_well else "not relaxed"
    return f"{candidate.formula}, {done}, no energy above a hull, {familiarity(candidate)}"
