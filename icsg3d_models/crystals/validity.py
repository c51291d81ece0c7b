"""Is a crystal physically possible: distances and volume; is its composition: charges and electronegativities.

Definitions as in CDVAE (Xie et al. 2022, arXiv:2110.06197, appendix B).
"""

from __future__ import annotations

import functools
import importlib.metadata
import itertools
import warnings

import numpy as np

from .batch import Crystals
from .elements import MAX_Z
from .neighbours import closest_distances

SHORTEST = 0.5  # Å, between any two atoms, periodic images included
SMALLEST = 0.1  # Å³ a cell
FLAT = 1e-3  # Å³; a smaller cell has no inverse worth the name
LARGEST = 10_000.0  # Å³ an atom; an atom alone in a box of 21 Å has less, lengths in pm a million times too much
OXIDATION_STATES = "smact14"  # the set that SMACT had when the published figures were made


def unusable(crystals: Crystals) -> list[str | None]:
    """Return for every crystal why nothing at all can be said of it, None where something can."""
    problems: list[str | None] = [None] * len(crystals)
    for index in range(len(crystals)):
        frac, numbers = crystals.sites(index)
        if len(numbers) == 0:
            problems[index] = "no sites"
        elif not np.isfinite(crystals.cell[index]).all() or not np.isfinite(frac).all():
            problems[index] = "the cell or the coordinates hold NaN or infinity"
        elif numbers.min() < 1 or numbers.max() > MAX_Z:
            problems[index] = "a site without an element"
        elif (volume := abs(float(np.linalg.det(crystals.cell[index])))) < FLAT:
            problems[index] = f"singular cell, volume {volume:.3g} Å³"
        elif volume > LARGEST * len(numbers):
            problems[index] = f"{volume / len(numbers):.3g} Å³ an atom, more than {LARGEST:g}; lengths have to be in Å"
    return problems


def structure_problems(crystals: Crystals) -> list[str | None]:
    """Return for every crystal why its structure is not valid, None where it is.

    Valid means: finite numbers, a volume of at least 0.1 Å³, and every distance above 0.5 Å.
    """
    problems = unusable(crystals)
    sound = []
    with np.errstate(invalid="ignore"):
        volumes = crystals.volumes  # NaN for a cell that is not finite, which has been found
    for index, problem in enumerate(problems):
        if problem is None and volumes[index] < SMALLEST:
            problems[index] = f"volume {volumes[index]:.3g} Å³, less than {SMALLEST} Å³"
        elif problem is None:
            sound.append(index)
    shortest = closest_distances(crystals.take(sound), SHORTEST)
    for index, distance in zip(sound, shortest, strict=True):
        if np.isfinite(distance):
            problems[index] = f"two atoms are {distance:.2f} Å apart, less than {SHORTEST} Å"
    return problems


@functools.lru_cache(maxsize=100_000)
def composition_valid(formula: str) -> bool:
    """Tell whether a composition can be neutral with electronegativities in order, by SMACT.

    Elements and alloys of metals pass (10.1016/j.chempr.2016.09.010; 10.21105/joss.01361). An element without
    data in SMACT makes the composition not valid. Data and the test of electronegativities are SMACT's; the loop is
    that of its ``smact_validity``, which makes its elements anew for every formula, half a millisecond each.
    """
    from pymatgen.core import Composition
    from smact import metals
    from smact.screening import pauling_test

    amounts = {symbol: int(amount) for symbol, amount in Composition(formula).as_dict().items()}
    if len(amounts) == 1 or all(symbol in metals for symbol in amounts):
        return True
    elements = [_element(symbol) for symbol in amounts]
    if not all(states for states, _ in elements):
        return False
    for charges in itertools.product(*(states for states, _ in elements)):
        if sum(charge * amount for charge, amount in zip(charges, amounts.values(), strict=True)) == 0:
            try:
                ordered = bool(pauling_test(charges, [negativity for _, negativity in elements]))
            except TypeError:  # an electronegativity is not known
                ordered = True
            if ordered:
                return True
    return False


@functools.cache
def _element(symbol: str) -> tuple[tuple[int, ...], float | None]:
    """Return the oxidation states of an element and its electronegativity (Pauling), none where SMACT has no data."""
    from smact import Element

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of elements without data, whose compounds fail the test
        try:
            element = Element(symbol)
            return tuple(getattr(element, f"oxidation_states_{OXIDATION_STATES}") or ()), element.pauling_eneg
        except (KeyError, NameError):
            return (), None


def composition_test() -> dict[str, str | bool]:
    """Return the version and the flags of the composition test, for the record."""
    return {
        "program": "smact",
        "version": importlib.metadata.version("smact"),
        "oxidation_states_set": OXIDATION_STATES,
        "use_pauling_test": True,
        "include_alloys": True,
        "check_metallicity": False,
        "mixed_valence": False,
    }
