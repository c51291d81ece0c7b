"""What a property model was trained on: from crystals, from a fingerprint, from a model card."""

from __future__ import annotations

from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

import icsg3d_models
from icsg3d_models.comparison.fingerprint import fingerprint_of, read_fingerprint
from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.properties import chemistry

PEROVSKITE = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
SHIPPED = Path(icsg3d_models.__file__).parent / "pretrained"


def crystals(*species: list[str]) -> Crystals:
    return Crystals.from_structures([Structure(Lattice.cubic(4), s, PEROVSKITE[: len(s)]) for s in species])


TRAINING = crystals(["Pb", "Ti", "O", "O", "O"], ["Na", "Ta", "O", "O", "N"])


@pytest.mark.parametrize(
    ("species", "words"),
    [
        (["Ta", "Pb", "N", "N", "N"], None),
        (["Pb", "Ti", "F", "F", "F"], "F not in its training"),
        (["Na"], "no crystal of the kind A in its training (3 to 4 elements, 5 atoms)"),
        (["Pb", "Pb", "Ti", "O", "O"], "no crystal of the kind AB2C2 in its training (3 to 4 elements, 5 atoms)"),
    ],
)
def test_problems(species: list[str], words: str | None) -> None:
    known = chemistry.of_crystals(TRAINING)
    assert known.problems(crystals(species)) == [words]


def test_supercells_are_of_the_size_of_their_primitive_cell() -> None:
    known = chemistry.of_crystals(TRAINING)
    double = next(iter(TRAINING.structures())).make_supercell([2, 1, 1], in_place=False)
    larger = double.copy()
    larger.translate_sites([0], [0.03, 0.01, 0])
    assert known.problems(Crystals.from_structures([double, larger])) == [
        None, "10 atoms in the primitive cell, in its training 5",
    ]  # fmt: skip


def test_card_and_fingerprint_say_the_same_as_the_crystals() -> None:
    known = chemistry.of_crystals(TRAINING)
    assert chemistry.of_fingerprint(fingerprint_of(TRAINING, "made-up")) == known
    assert chemistry.from_card({"chemistry": known.stored()}) == known
    assert chemistry.from_card({}) is None


def test_shipped_perovskites() -> None:
    known = chemistry.of_fingerprint(read_fingerprint(SHIPPED / "perov5" / "fingerprint.h5"))
    assert (known.least, known.most) == (5, 5)
    assert known.problems(crystals(["Pb", "Ti", "O", "O", "O"], ["Na"])) == [
        None, f"no crystal of the kind A in its training ({known.words})",
    ]  # fmt: skip
    assert known.words == "2 to 5 elements, 5 atoms"
