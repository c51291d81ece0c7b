"""From the energy of a relaxed crystal to its estimated formation energy and energy above the hull."""

from __future__ import annotations

from dataclasses import dataclass

from pymatgen.core import Structure

from .corrections import CORRECTED, UNCORRECTED, mp2020_correction
from .hull import Hulls, check_label
from .references import References, ReferencesError


@dataclass(frozen=True)
class Stability:
    """What is estimated of one crystal.

    :param formation_energy_per_atom: eV/atom.
    :param e_above_hull: eV/atom; negative: below all that is known.
    :param decomposition: competing phases, formula -> fraction of the atoms.
    :param note: what makes it unsure; empty where nothing does.
    """

    formation_energy_per_atom: float
    e_above_hull: float
    decomposition: dict[str, float]
    note: str = ""

    def phases(self) -> str:
        """Return the decomposition in one line, ``0.600 PbO + 0.400 TiO2``."""
        return " + ".join(f"{share:.3f} {formula}" for formula, share in self.decomposition.items())


def corrected_label(scale: str | None) -> str | None:
    """Return what energies of a scale are comparable with once the corrections are added."""
    return CORRECTED if scale == UNCORRECTED else scale


def formation_energy(
    structure: Structure, energy: float, scale: str | None, references: References
) -> tuple[float, str]:
    """Return the formation energy in eV/atom, and a note where it is not sure.

    :param energy: eV a cell.
    :param scale: of the energy: ``mp`` is corrected to MP2020; anything else has to be the label of the references.
    :raises ReferencesError: another label, an element without reference, or no correction for the composition.
    """
    check_label(references, corrected_label(scale))
    amounts = {str(symbol): float(n) for symbol, n in structure.composition.as_dict().items()}
    note = ""
    if scale == UNCORRECTED:
        try:
            correction, note = mp2020_correction(structure, energy)
        except ValueError as exception:
            raise ReferencesError(str(exception)) from None
        energy += correction
    return references.formation_energy(amounts, energy), note


def stability_of(structure: Structure, energy: float, scale: str | None, hulls: Hulls) -> Stability:
    """Return formation energy and energy above the hull of a relaxed crystal.

    :param energy: eV a cell, on ``scale`` (see :func:`formation_energy`).
    :raises ReferencesError: the hull cannot be drawn, or the energy does not fit to it.
    """
    value, note = formation_energy(structure, energy, scale, hulls.references)
    amounts = {str(symbol): float(n) for symbol, n in structure.composition.as_dict().items()}
    hull = hulls.of(amounts)
    return Stability(value, hull.e_above_hull(amounts, value), hull.competing_phases(amounts), note)
