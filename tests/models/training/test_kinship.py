"""Which elements stand for one another: learned where space groups say it, and left alone where there is little."""

from __future__ import annotations

import numpy as np
import pytest

from icsg3d_models.conditions.analogy import Examples, kinship, kinship_of, usual_codes
from icsg3d_models.crystals.elements import NUMBER
from icsg3d_models.training import kinship as of_elements
from icsg3d_models.training.kinship import FEWEST, kinds_of, learn_codes

# neighbours in the table of which every other one is in another class: the usual codes cannot tell them apart
METALS = [NUMBER[s] for s in ("Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Y", "Zr", "Nb", "Mo", "Tc", "Ru", "Rh")]
OTHERS = [NUMBER[s] for s in ("N", "O", "F", "P", "S", "Cl", "As", "Se", "Br")]


def group_of(metal: int) -> int:
    """Return the space group of all compounds of a metal."""
    return 225 if METALS.index(metal) % 2 else 221


def compounds(count: int = FEWEST + 100) -> Examples:
    """Return examples MX of the metals but for MnO and FeO."""
    rng = np.random.default_rng(0)
    metals, others = rng.choice(METALS, count), rng.choice(OTHERS, count)
    hidden = (others == NUMBER["O"]) & np.isin(metals, [NUMBER["Mn"], NUMBER["Fe"]])
    metals[hidden] = NUMBER["Sc"]
    numbers = np.stack([metals, others], axis=1)
    return Examples(numbers, np.ones_like(numbers), np.array([group_of(int(z)) for z in metals]))


def share_of_own_group(examples: Examples, metal: str) -> float:
    """Return the probability that an oxide that is not among the examples is drawn like one of its metal's group."""
    found = examples.likenesses({NUMBER[metal]: 1, NUMBER["O"]: 1})
    weight = found.akin.sum(axis=1)
    own = examples.groups[found.rows] == group_of(NUMBER[metal])
    return float(weight[own].sum() / weight.sum())


def test_what_space_groups_say_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_elements, "STEPS", 400)
    examples = compounds()
    codes = learn_codes(examples, 0)
    assert codes is not None
    learned = Examples(examples.numbers, examples.amounts, examples.groups, codes=codes)
    for metal in ("Mn", "Fe"):
        assert share_of_own_group(learned, metal) > 0.95
        likeliest = learned.likenesses({NUMBER[metal]: 1, NUMBER["O"]: 1}).draw(
            {NUMBER[metal]: 1, NUMBER["O"]: 1}, None
        )
        assert likeliest is not None
        assert likeliest.group == group_of(NUMBER[metal])
    np.testing.assert_array_equal(codes, learn_codes(examples, 0))
    akin = kinship_of(codes)
    gold, lead = NUMBER["Au"], NUMBER["Pb"]  # of which nothing is said
    assert akin[gold, lead] == pytest.approx(kinship()[gold, lead])


def test_few_examples_teach_nothing() -> None:
    assert learn_codes(compounds(FEWEST - 1), 0) is None


def test_kinds_keep_amounts_and_their_ways() -> None:
    """Of A2B2C the first two may change places; what is rare, of one element or of too many ways is left out."""
    numbers = np.array([[8, 22, 82]] * 8 + [[82, 22, 8]] * 2 + [[6, 0, 0]] * 9 + [[11, 17, 0]] * 3)
    amounts = np.array([[2, 2, 1]] * 8 + [[1, 2, 2]] * 2 + [[4, 0, 0]] * 9 + [[1, 1, 0]] * 3)
    (kind,) = kinds_of(Examples(numbers, amounts, np.full(22, 1)))
    assert kind.elements.tolist() == [[82, 8, 22]] * 10
    assert kind.ways == ((0, 1, 2), (0, 2, 1))


def test_usual_codes_are_those_of_before() -> None:
    near = np.exp(-((usual_codes()[11] - usual_codes()[19]) ** 2).sum())
    assert kinship()[11, 19] == pytest.approx(near)
