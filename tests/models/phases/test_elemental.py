"""Ground states of the elements."""

from __future__ import annotations

import pytest

from icsg3d_models.phases.elemental import BOX, NoGroundStateError, ground_state


@pytest.mark.parametrize(
    ("symbol", "sites", "volume"),  # Å³ an atom, as measured
    [
        ("Al", 1, 16.6),
        ("Mg", 2, 23.2),
        ("Si", 2, 20.0),
        ("Pb", 1, 30.3),
        ("Ti", 2, 17.7),
        ("Te", 3, 34.0),
        ("Se", 3, 27.3),
    ],
)
def test_crystals(symbol: str, sites: int, volume: float) -> None:
    found = ground_state(symbol)
    assert not found.molecule
    assert len(found.structure) == sites
    assert {str(e) for e in found.structure.composition.elements} == {symbol}
    assert found.structure.volume / sites == pytest.approx(volume, rel=0.01)


def test_structures_of_one_aflow_name_are_told_apart() -> None:
    """Gallium, black phosphorus and iodine share theirs; their volumes an atom differ by a factor of two."""
    volumes = {symbol: ground_state(symbol).structure.volume / 4 for symbol in ("Ga", "P", "I")}
    assert volumes["Ga"] == pytest.approx(19.6, rel=0.02)
    assert volumes["P"] == pytest.approx(19.0, rel=0.02)
    assert volumes["I"] > 38


def test_molecules() -> None:
    oxygen = ground_state("O")
    assert oxygen.molecule
    assert oxygen.magnetisation == 1.0
    assert oxygen.structure.get_distance(0, 1) == pytest.approx(1.21)
    assert oxygen.structure.lattice.abc == pytest.approx(BOX)
    assert ground_state("N").magnetisation == 0.0


def test_iron_starts_magnetic() -> None:
    assert ground_state("Fe").magnetisation > 2


@pytest.mark.parametrize(("symbol", "word"), [("Pu", "give its structure"), ("Xx", "no element")])
def test_what_is_not_known_is_refused(symbol: str, word: str) -> None:
    with pytest.raises(NoGroundStateError, match=word):
        ground_state(symbol)
