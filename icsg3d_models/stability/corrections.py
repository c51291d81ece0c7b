"""Materials Project's MP2020 corrections for energies on the scale of its uncorrected GGA and GGA+U calculations.

Wang et al., Sci. Rep. 11, 15496 (2021), 10.1038/s41598-021-94550-5; the numbers are pymatgen's.
"""

from __future__ import annotations

import functools
import warnings
from typing import Any

from pymatgen.core import Structure

UNCORRECTED, CORRECTED = "mp", "MP2020"
HUBBARD_U = {"Co": 3.32, "Cr": 3.7, "Fe": 5.3, "Mn": 3.9, "Mo": 4.38, "Ni": 6.2, "V": 3.25, "W": 6.2}
"""eV, where Materials Project applies them: these elements beside oxygen or fluorine."""


@functools.lru_cache(maxsize=1)
def _compatibility() -> Any:
    """Return pymatgen's table of corrections."""
    from pymatgen.entries.compatibility import MaterialsProject2020Compatibility

    return MaterialsProject2020Compatibility(check_potcar=False)


def hubbards(elements: set[str]) -> dict[str, float]:
    """Return the U of each element that Materials Project treats with one, in eV; empty for a plain GGA run."""
    if not elements & {"O", "F"}:
        return {}
    return {symbol: u for symbol, u in HUBBARD_U.items() if symbol in elements}


def mp2020_correction(structure: Structure, energy: float) -> tuple[float, str]:
    """Return the correction in eV a cell, and a note where it is not sure.

    :param structure: relaxed; its bonds tell oxides from peroxides.
    :param energy: eV a cell, as Materials Project's GGA or GGA+U would give it.
    :raises ValueError: no correction is defined for this composition.
    """
    from pymatgen.entries.compatibility import CompatibilityError
    from pymatgen.entries.computed_entries import ComputedStructureEntry

    applied = hubbards({str(element) for element in structure.composition.elements})
    run = {"run_type": "GGA+U" if applied else "GGA", "is_hubbard": bool(applied), "hubbards": applied}
    entry = ComputedStructureEntry(structure, energy, parameters=run)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            adjustments = _compatibility().get_adjustments(entry)
        except CompatibilityError as exception:
            raise ValueError(f"MP2020 has no correction for it ({exception})") from None
    unsure = any("oxidation states" in str(item.message) for item in caught)
    note = (
        "no oxidation states guessed: only the most electronegative element is corrected as an anion" if unsure else ""
    )
    return float(sum(item.value for item in adjustments)), note
