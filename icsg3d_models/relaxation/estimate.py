"""Formation energies and energies above the hull of relaxed crystals, beside their rows."""

from __future__ import annotations

from typing import Any

from ..crystals.batch import Crystals
from ..stability.formation import formation_energy, stability_of
from ..stability.hull import Hulls
from ..stability.references import References, ReferencesError


def add_estimates(
    rows: list[dict[str, Any]],
    crystals: Crystals,
    second_energies: list[float | None],
    scales: tuple[str | None, str | None],
    references: References,
    stable_within: float,
) -> dict[str, Any]:
    """Fill in the estimates of B crystals, and return what hull they are against.

    A crystal without an estimate says why in its reason; the others go on.

    :param rows: B rows with `energy` in eV a cell.
    :param second_energies: B energies by the second potential, eV a cell, None where there is none.
    :param stable_within: eV/atom.
    :param scales: of the energies of the first and of the second potential.
    """
    hulls = Hulls(references)
    for row, structure, second in zip(rows, crystals.structures(), second_energies, strict=True):
        try:
            found = stability_of(structure, row["energy"], scales[0], hulls)
            row["estimated_formation_energy_per_atom"] = found.formation_energy_per_atom
            row["estimated_e_above_hull"] = found.e_above_hull
            row["stable"] = found.e_above_hull <= stable_within
            row["decomposition"] = found.phases()
            row["known_formula"] = references.knows(row["formula"])
            say(row, found.note)
            if second is not None:
                other, _ = formation_energy(structure, second, scales[1], references)
                row["spread"] = abs(other - found.formation_energy_per_atom)
        except ReferencesError as exception:
            say(row, f"no estimate of its stability: {exception}")
    return {
        "kind": "estimate",
        "label": references.label,
        "stable_within_eV_per_atom": stable_within,
        "source": references.name,
        "error_eV_per_atom": references.error,
        "citation": references.citation,
    }


def say(row: dict[str, Any], words: str) -> None:
    """Add to the reason of a row."""
    row["reason"] = "; ".join(filter(None, [row.get("reason", ""), words]))
