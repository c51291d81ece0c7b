"""What a run says a candidate is worth: energies above a hull, what the hull holds, whether it is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from icsg3d_models.crystals.formulas import chemical_formula

from .candidate import Candidate


class Energy(NamedTuple):
    """A kind of energy that a verdict can hold, in eV/atom.

    :param key: column of the table, or entry of the relaxation.
    :param hull: entry that describes the hull, or the references.
    """

    key: str
    label: str
    hull: str


FORMATION = "dft_formation_energy"
ENERGIES = (
    Energy("dft_e_above_hull", "above hull, DFT", "dft_hull"),
    Energy(FORMATION, "formation energy, DFT", "dft_hull"),
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
        names = [chemical_formula(str(one)) for one in (missing if isinstance(missing, (list, tuple)) else [missing])]
        parts.append(f"without {', '.join(names)}")
    words = ", ".join(parts)
    if guessed := hull.get("guessed"):  # not to be taken for more that is missing
        words += f"; {', '.join(chemical_formula(str(one)) for one in guessed)} guessed from prototypes"
    return words


def stability_of_modes(candidate: Candidate) -> str:
    """Return what phonons say against a candidate, by DFT before the potential; empty where they say nothing."""
    by_dft = (candidate.relax or {}).get("dynamically_stable")
    if by_dft is not None:
        return "" if by_dft else ", not dynamically stable (DFT)"
    before = candidate.prerelax or {}
    return f", not dynamically stable ({before['potential']})" if before.get("dynamically_stable") is False else ""


def familiarity(candidate: Candidate) -> str:
    """Return whether the crystal is known, as far as was looked; never more than was looked up."""
    listed, novel = candidate.row.get("known_formula"), candidate.row.get("novel")
    trained = {
        None: "not compared with the training data",
        True: "not in the training data",
        False: "in the training data",
    }
    if listed is True:
        return "known" if novel is not False else "known, in the training data"
    if listed is False:
        return f"formula in no list of known compounds, {trained[novel]}"
    return trained[novel]


def in_words(candidate: Candidate) -> str:
    """Return the verdict on a candidate in one line: `PbTiO3, 0.00 eV/atom above the hull (LDA, 9 phases), known`."""
    modes = stability_of_modes(candidate)
    for energy in ENERGIES:
        value = energy_of(candidate, energy)
        if value is None:
            continue
        kind = "estimate, " if "estimate" in energy.label else ""
        words = f"{kind}{hull_in_words(candidate, energy)}".rstrip(", ")
        about = f" ({words})" if words else ""
        if energy.key == FORMATION:
            return f"{candidate.formula}, formation energy {value:.2f} eV/atom{about}{modes}, {familiarity(candidate)}"
        place = "above the hull" if round(value, 2) >= 0 else "below all phases of the hull"
        return (
            f"{candidate.formula}, {abs(round(value, 2)):.2f} eV/atom {place}{about}{modes}, {familiarity(candidate)}"
        )
    if candidate.failed:
        return f"{candidate.formula}, relaxation failed, {familiarity(candidate)}"
    done = "relaxed by DFT" if candidate.relaxed_well else "not relaxed"
    reason = (candidate.verdict or {}).get("reason")
    why = f": {reason}" if reason else ""
    return f"{candidate.formula}, {done}, {familiarity(candidate)}; no energy above a hull{why}"
