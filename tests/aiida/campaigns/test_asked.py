"""What was asked beside what was delivered."""

from __future__ import annotations

from pymatgen.core import Structure

from aiida_icsg3d.campaigns.asked import delivered
from aiida_icsg3d.campaigns.candidate import Candidate
from tests.aiida.discovery_graph import perovskite


def pair(id: str, structure: Structure, **row: float) -> tuple[Candidate, Structure]:
    """Return a candidate with its crystal."""
    return Candidate(id, {"formula": structure.composition.reduced_formula, **row}), structure


def test_what_was_asked_is_judged_on_the_crystals() -> None:
    crystals = [
        pair("a", perovskite("Pb", "Ti", "O", 3.9), predicted_heat=0.1),
        pair("b", perovskite("Ba", "Nb", "N", 4.1), predicted_heat=0.4),
    ]
    asked = {
        "elements": ["Pb", "Ti", "O"],
        "anonymous_formula": "ABC3",
        "targets": {"heat": 0.2, "gap": 1.0},
        "seed": 1,
    }
    found = {line.label: line for line in delivered(asked, crystals)}
    assert (found["elements"].delivered, found["elements"].kept) == ("1 of 2", False)
    assert (found["anonymous formula"].delivered, found["anonymous formula"].kept) == ("2 of 2", True)
    assert found["predicted heat"].delivered == "0.10 to 0.40, off by 0.15"
    assert found["predicted gap"].delivered == "not predicted, so not judged"
    assert len(found) == 4


def test_nothing_is_said_of_nothing() -> None:
    assert delivered({}, []) == []
    assert delivered({"elements": ["Pb"]}, []) == []
