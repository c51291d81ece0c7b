"""What a predicted number is: its name in words, its unit, against what it is counted, with which functional, by whom.

A model predicts what its data hold, under whatever name the data set gives it. The heat of Perov-5 is the usual trap:
it is called a formation energy, but counts from the most stable competing phases, not from the elements.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..data.fidelity import Fidelity, quantity_of

UNKNOWN = "not stated by the data"


@dataclass(frozen=True)
class Meaning:
    """What one predicted property is.

    :param name: of the property in tables.
    :param label: in words.
    :param short: in a word or two, for the head of a column.
    :param unit: of the values, empty where it has none or it is not known.
    :param reference: what the zero is.
    :param functional: with which the data were computed.
    :param source: of the data.
    :param from_elements: whether the zero is the elements in their ground states: only then does it compare with a
        formation energy.
    :param stable_at: the value at and below which a crystal does not fall apart into competing phases; None: the number
        alone does not say.
    """

    name: str
    label: str
    short: str
    unit: str
    reference: str
    functional: str
    source: str
    from_elements: bool = False
    stable_at: float | None = None

    @property
    def sentence(self) -> str:
        """All of it in one sentence."""
        unit = f" in {self.unit}" if self.unit else ""
        return f"{self.label}{unit}; zero: {self.reference}; functional: {self.functional}; data: {self.source}"


PEROV5_DOI = "10.1039/c1ee02717d"
PEROV5_HEAT = Meaning(
    "formation_energy_per_atom", "heat relative to competing phases", "heat", "eV/atom",
    "the most stable competing phases (elements, oxides and the like) that the source took, not the elements",
    "RPBE (GPAW)", "Perov-5: Castelli et al., Energy Environ. Sci. 5, 5814 (2012), 10.1039/C1EE02717D",
    stable_at=0.0,
)  # fmt: skip

MATERIALS_PROJECT_DOI = "10.1063/1.4812323"
MATERIALS_PROJECT = {
    meaning.name: meaning
    for meaning in (
        Meaning(
            "formation_energy_per_atom", "formation energy", "formation energy", "eV/atom",
            "the elements in their ground states, with the project's corrections of the time of the data",
            "PBE and PBE+U (VASP)", "Materials Project: Jain et al., APL Mater. 1, 011002 (2013), 10.1063/1.4812323",
            from_elements=True,
        ),
        Meaning(
            "e_above_hull", "energy above hull", "above hull", "eV/atom",
            "the hull of the Materials Project at the time of the data", "PBE and PBE+U (VASP)",
            "Materials Project: Jain et al., APL Mater. 1, 011002 (2013), 10.1063/1.4812323", stable_at=0.0,
        ),
        Meaning(
            "band_gap", "band gap", "gap", "eV", "none; of Kohn-Sham eigenvalues, smaller than measured ones",
            "PBE and PBE+U (VASP)", "Materials Project: Jain et al., APL Mater. 1, 011002 (2013), 10.1063/1.4812323",
        ),
    )
}  # fmt: skip
"""Of data in which only its crystals have energies; crystals of other sources may be among them."""


def meaning_of(name: str, card: Mapping[str, Any]) -> Meaning:
    """Return what a property means in a model, by the card of the model."""
    data = card.get("data")
    facts: Mapping[str, Any] = data if isinstance(data, Mapping) else {"name": data}
    citation = str(facts.get("citation") or "")
    if MATERIALS_PROJECT_DOI in citation.lower() and name in MATERIALS_PROJECT:
        return MATERIALS_PROJECT[name]
    if name == PEROV5_HEAT.name and PEROV5_DOI in citation.lower():
        return PEROV5_HEAT
    fidelity = facts.get("fidelities", {}).get(name)
    if fidelity is not None:
        return _computed(name, Fidelity.from_dict(fidelity), str(facts.get("name") or UNKNOWN))
    above_hull = name == "e_above_hull"
    energy = ("energy" in name and name.endswith("_per_atom")) or above_hull
    words = (name.removesuffix("_per_atom") if energy else name).replace("_", " ")
    source = ": ".join(str(part) for part in (facts.get("name"), citation) if part) or UNKNOWN
    unit = "eV/atom" if energy else ""
    zero = "the hull of the data" if above_hull else "as in the data, " + UNKNOWN if energy else UNKNOWN
    stable_at = 0.0 if above_hull else None
    return Meaning(name, words, words, unit, zero, UNKNOWN, source, stable_at=stable_at)


def _computed(name: str, fidelity: Fidelity, data: str) -> Meaning:
    """Return the meaning of a property that was computed with known settings, named by them."""
    words = quantity_of(name).removesuffix("_per_atom").replace("_", " ")
    formation = quantity_of(name) == "formation_energy_per_atom"
    functional = f"{fidelity.functional} ({fidelity.program}, settings {fidelity.settings_hash})"
    reference = fidelity.zero if formation else "the hull of the phases that were known when it was computed"
    short = f"{words} ({fidelity.functional})"
    source, stable_at = f"results added to {data}", 0.0 if quantity_of(name) == "e_above_hull" else None
    return Meaning(name, words, short, "eV/atom", reference, functional, source, formation, stable_at)
