"""From total energies of one setting to formation energies, energies above hull, and a sentence.

The hull holds the phases that are given, and the candidates of the same run: a candidate is judged against all but
itself. A negative energy above hull says by how much it lies below everything that is known there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from .hull import Hull
from .references import References, ReferencesError, shipped_references

STABLE = 0.0
"""eV/atom above hull up to which a crystal counts as stable."""
DIGITS = 3


@dataclass(frozen=True)
class Energy:
    """A total energy.

    :param formula: of the crystal; ``energy_per_atom``: eV/atom.
    :param generated: whether the crystal was generated: it takes part in the hull, but does not stand for the compound
        that is known by its formula, whose structure may be another.
    """

    formula: str
    energy_per_atom: float
    generated: bool = False


@dataclass(frozen=True)
class Verdict:
    """What is said of one candidate.

    :param label: functional or settings of all energies.
    :param formation_energy_per_atom: eV/atom, from the elements; None where one has no energy.
    :param e_above_hull: eV/atom; None where there is no hull.
    :param stable: whether it lies on the hull or below it; None where only phases that this hull lacks can tell.
    :param decomposition: phases it would fall into, formula -> fraction of the atoms.
    :param phases: formulas of the hull that it was judged against, the elements included.
    :param lacks: phases into which the estimated hull says that it decomposes, and that this hull lacks: the true one
        may lie lower.
    :param lower_by: eV/atom by which the estimated hull lies lower with all phases that it knows than with those that
        this hull has: about what this hull may be too high; None where nothing is estimated.
    :param reason: why there is no verdict.
    :param energies: formation energies of the phases, eV/atom; those of the elements are 0. What a phase diagram takes.
    """

    formula: str
    label: str
    formation_energy_per_atom: float | None = None
    e_above_hull: float | None = None
    stable: bool | None = None
    decomposition: dict[str, float] = field(default_factory=dict)
    phases: list[str] = field(default_factory=list)
    lacks: list[str] = field(default_factory=list)
    reason: str | None = None
    energies: dict[str, float] = field(default_factory=dict)
    lower_by: float | None = None

    def words(self) -> str:
        """Return the verdict in one line."""
        if self.e_above_hull is None:
            return f"{self.formula}: no verdict, {self.reason}"
        height = abs(round(self.e_above_hull, DIGITS))
        place = "below all known phases" if round(self.e_above_hull, DIGITS) < 0 else "above the hull"
        lacking = f", which lacks {', '.join(self.lacks)}" if self.lacks else ""
        if self.lower_by is not None and round(self.lower_by, DIGITS) > 0:
            lacking += f" and may lie {self.lower_by:.{DIGITS}f} lower"
        return f"{self.formula}, {height:.{DIGITS}f} eV/atom {place} ({self.label}, {len(self.phases)} phases{lacking})"

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as plain data, ``words`` included."""
        return {**asdict(self), "words": self.words()}


def judge(candidates: Mapping[str, Energy], phases: Sequence[Energy], label: str) -> dict[str, Verdict]:
    """Return the verdict of every candidate.

    :param candidates: identifier -> energy.
    :param phases: competing phases and elements. Their energies must have the settings of the candidates'; that is
        for the caller to see to.
    :param label: functional or settings, for the sentence.
    """
    found = {}
    for identifier, candidate in candidates.items():
        others = [replace(other, generated=True) for name, other in candidates.items() if name != identifier]
        found[identifier] = _verdict(candidate, [*phases, *others], label)
    return found


def competing_formulas(formulas: Sequence[str]) -> list[str]:
    """Return the compounds that DFT should know beside some compositions, by the estimated hull of the package.

    They are what each composition decomposes into, itself among them where it is a phase, and what it would decompose
    into if it were not.
    """
    found: set[str] = set()
    for formula in formulas:
        found.update(_estimated(formula, without_itself=False), _estimated(formula, without_itself=True))
    return sorted(one for one in found if len(_symbols(one)) > 1)


def _verdict(candidate: Energy, phases: Sequence[Energy], label: str) -> Verdict:
    """Return the verdict of one candidate against all phases of its elements."""
    from pymatgen.core import Composition

    formula = Composition(candidate.formula).reduced_formula
    symbols = _symbols(formula)
    inside: dict[str, float] = {}
    for phase in phases:
        other = Composition(phase.formula).reduced_formula
        if _symbols(other) <= symbols:
            inside[other] = min(phase.energy_per_atom, inside.get(other, np.inf))
    elements = {str(Composition(one).elements[0]): energy for one, energy in inside.items() if len(_symbols(one)) == 1}
    if missing := sorted(symbols - set(elements)):
        reason = f"no energy of {', '.join(missing)} with the same settings"
        return Verdict(candidate.formula, label, reason=reason)
    covered = {Composition(one.formula).reduced_formula for one in phases if not one.generated}
    compounds = {one: energy for one, energy in inside.items() if len(_symbols(one)) > 1}
    shares = {one: Composition(one).fractional_composition.as_dict() for one in [*compounds, formula]}

    def formation(one: str, energy: float) -> float:
        return energy - sum(share * elements[symbol] for symbol, share in shares[one].items())

    references = References(
        label, label, tuple(compounds), np.array([formation(one, energy) for one, energy in compounds.items()]),
        np.ones(len(compounds), dtype=bool), elements,
    )  # fmt: skip
    hull = Hull(symbols, references)
    value = formation(formula, candidate.energy_per_atom)
    height = hull.e_above_hull(formula, value)
    lower_by = estimated_lowering(formula, covered)
    return Verdict(
        candidate.formula, label, value, height, stable_within(height, lower_by, STABLE),
        hull.competing_phases(formula), sorted([*compounds, *elements]),
        # its own formula, too, where no reference of it is there: it may be another structure of a known compound
        sorted(set(competing_formulas([formula])) - covered),
        lower_by=lower_by,
        energies={one: formation(one, energy) for one, energy in compounds.items()} | dict.fromkeys(elements, 0.0),
    )  # fmt: skip


def stable_within(height: float | None, lower_by: float | None, limit: float) -> bool | None:
    """Return whether a crystal lies at most so far above the hull; None where that cannot be told.

    A hull that lacks phases is too high, never too low: what lies above the limit is not stable in any case, what lies
    below it is so only if it would with the hull as much lower as the estimate says.

    :param height: eV/atom above the hull that there is; ``lower_by``: how much lower the whole one is, by the estimate,
        None where there is none; ``limit``: eV/atom.
    """
    if height is None:
        return None
    if round(height, DIGITS) > limit:
        return False
    return True if lower_by is not None and round(height + lower_by, DIGITS) <= limit else None


def estimated_lowering(formula: str, phases: Collection[str]) -> float | None:
    """Return by how much the estimated hull is lower with all its phases than with those of another hull, in eV/atom.

    :param phases: reduced formulas of the compounds of the other hull; it has the elements too.
    """
    from pymatgen.core import Composition

    references, symbols = shipped_references(), _symbols(formula)
    known = {Composition(one).reduced_composition for one in phases}
    inside = [references.formulas[i] for i in references.within(symbols)]
    compounds = [one for one in inside if len(_symbols(one)) > 1]
    missing = [one for one in compounds if Composition(one).reduced_composition not in known]
    try:
        whole, part = Hull(symbols, references), Hull(symbols, references, missing)
    except ReferencesError:  # an element that the table does not know
        return None
    return max(part.height(formula) - whole.height(formula), 0.0)


def _symbols(formula: str) -> set[str]:
    from pymatgen.core import Composition

    return {str(element) for element in Composition(formula).elements}


def _estimated(formula: str, without_itself: bool) -> list[str]:
    """Return the phases into which a composition decomposes by the table of the package; empty where it is unknown."""
    from pymatgen.core import Composition

    references, symbols = shipped_references(), _symbols(formula)
    mine = Composition(formula).reduced_composition
    same = [references.formulas[i] for i in references.systems.get(frozenset(symbols), ())] if without_itself else []
    try:
        hull = Hull(symbols, references, [one for one in same if Composition(one).reduced_composition == mine])
        return list(hull.competing_phases(formula))
    except ReferencesError:  # an element that the table does not know
        return []
