"""The test of compositions says what SMACT's own function says, with the flags of the published figures."""

from __future__ import annotations

import warnings

import numpy as np
from smact.screening import smact_validity

from icsg3d_models.crystals.elements import SYMBOLS
from icsg3d_models.crystals.validity import OXIDATION_STATES, composition_valid


def by_smact(formula: str) -> bool:
    """Return the verdict of SMACT's own function, an element without data being none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return bool(smact_validity(formula, use_pauling_test=True, include_alloys=True, check_metallicity=False,
                                       oxidation_states_set=OXIDATION_STATES, mixed_valence=False))  # fmt: skip
        except (KeyError, NameError):
            return False


def test_verdicts_are_those_of_smact() -> None:
    rng = np.random.default_rng(7)
    formulas = []
    for _ in range(400):
        numbers = rng.choice(np.arange(1, 104), rng.integers(1, 5), replace=False)
        formulas.append("".join(f"{SYMBOLS[z]}{rng.integers(1, 7)}" for z in numbers))
    for _ in range(100):  # what is asked most: perovskites, most of which are valid
        a, b = rng.choice([11, 12, 20, 22, 38, 40, 41, 56, 57, 82], 2, replace=False)
        formulas.append(f"{SYMBOLS[a]}{SYMBOLS[b]}{SYMBOLS[rng.choice([7, 8, 9, 16])]}3")
    verdicts = [composition_valid(formula) for formula in formulas]
    assert verdicts == [by_smact(formula) for formula in formulas]
    assert 100 < sum(verdicts) < 450
