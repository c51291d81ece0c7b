"""The convex hull of competing phases, and how far above it a crystal lies.

Energies of different settings never meet: a hull has a label, and refuses an energy that bears another.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ..crystals.elements import NUMBER
from ..crystals.formulas import amounts_of
from .references import References, ReferencesError, shipped_references


class MixedLabelsError(ReferencesError):
    """Energies of different settings that were to be compared."""


def check_label(references: References, label: str | None) -> None:
    """Refuse an energy of other settings than those of the references.

    :param label: what the energy is comparable with; None: not known.
    :raises MixedLabelsError: it is not what the references are.
    """
    if label != references.label:
        mine = "of unknown settings" if label is None else f"of the settings {label!r}"
        raise MixedLabelsError(
            f"an energy {mine} against a hull of {references.label!r} ({references.name}) means nothing; "
            "give references of the same settings"
        )


class Hull:
    """The hull of one chemical system.

    :param elements: chemical symbols; phases of some of them are on it too.
    :param references: the table of competing phases; default: the one that comes with the package.
    :param without: formulas, as the table writes them, that are left out, such as that of the crystal itself.
    :raises ReferencesError: nothing is known of an element.
    """

    def __init__(
        self, elements: Iterable[str], references: References | None = None, without: Collection[str] = ()
    ) -> None:
        self.references = references or shipped_references()
        self.elements = sorted(set(elements), key=lambda symbol: NUMBER[symbol])
        unknown = [symbol for symbol in self.elements if symbol not in self.references.known_elements]
        if unknown or not self.elements:
            raise ReferencesError(f"{self.references.name}: nothing is known of {', '.join(unknown) or 'no elements'}")
        self.phases = [i for i in self.references.within(self.elements) if self.references.formulas[i] not in without]

    @property
    def label(self) -> str:
        """What the energies of this hull are comparable with."""
        return self.references.label

    @property
    def error(self) -> float | None:
        """Mean absolute error of its height in eV/atom, None where nobody measured it."""
        return self.references.error

    @functools.cached_property
    def _heights(self) -> Any:
        """The hull of everything that is known, its heights without a phase included."""
        return self._diagram(self.phases)

    @functools.cached_property
    def _real(self) -> Any:
        """The hull of the phases that exist."""
        return self._diagram([index for index in self.phases if self.references.real[index]])

    def _diagram(self, phases: list[int]) -> Any:
        """Return pymatgen's phase diagram of some phases and the elements (formation energy 0 by definition)."""
        from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
        from pymatgen.core import Composition

        entries = [PDEntry(Composition(symbol), 0.0, symbol) for symbol in self.elements]
        for index in phases:
            composition = Composition(self.references.formulas[index])
            energy = float(self.references.energies[index]) * composition.num_atoms
            if len(composition) > 1:
                entries.append(PDEntry(composition, energy, self.references.formulas[index]))
        return PhaseDiagram(entries)

    def height(self, composition: str | Mapping[str, float]) -> float:
        """Return the formation energy of the hull at a composition, eV/atom."""
        return float(self._heights.get_hull_energy_per_atom(self._composition(composition)))

    def e_above_hull(
        self, composition: str | Mapping[str, float], formation_energy_per_atom: float, label: str | None = None
    ) -> float:
        """Return how far a formation energy lies above the hull, eV/atom.

        Negative: below all that is known, that is, stable against it.

        :param label: what the energy is comparable with; default: taken to be what the hull is.
        :raises MixedLabelsError: the energy bears another label.
        """
        if label is not None:
            check_label(self.references, label)
        return formation_energy_per_atom - self.height(composition)

    def competing_phases(self, composition: str | Mapping[str, float]) -> dict[str, float]:
        """Return the phases into which a composition decomposes, formula -> fraction of the atoms, largest first.

        Only phases that exist: heights of the hull that belong to none are left out.
        """
        parts = self._real.get_decomposition(self._composition(composition))
        found = {entry.composition.reduced_formula: float(amount) for entry, amount in parts.items() if amount > 1e-6}
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def _composition(self, composition: str | Mapping[str, float]) -> Any:
        """Return pymatgen's composition; refuse elements outside the system."""
        from pymatgen.core import Composition

        amounts = amounts_of(composition) if isinstance(composition, str) else dict(composition)
        outside = sorted(set(amounts) - set(self.elements))
        if outside or not amounts:
            raise ReferencesError(
                f"the hull of {'-'.join(self.elements)} knows nothing of {', '.join(outside) or 'an empty composition'}"
            )
        return Composition(amounts)


class Hulls:
    """The hulls of all chemical systems that are asked for, each built once."""

    def __init__(self, references: References | None = None) -> None:
        self.references = references or shipped_references()
        self._built: dict[frozenset[str], Hull] = {}

    def of(self, elements: Iterable[str]) -> Hull:
        """Return the hull of some elements."""
        system = frozenset(elements)
        if system not in self._built:
            self._built[system] = Hull(system, self.references)
        return self._built[system]
