"""Settings of an energy: what makes them equal, and that different ones are refused by name."""

from __future__ import annotations

import json

import pytest

from aiida_icsg3d.dft.fingerprint import Settings, SettingsDifferError, check_same, digest

COMMON = {"functional": "LDA", "ecutwfc_Ry": 30.0, "kpoints_distance": 0.6, "system": {}}


def settings(elements: str, cutoff: float = 30.0, oxygen: str = "ab") -> Settings:
    """Return settings of a crystal of some elements."""
    pseudos = {symbol: {"pseudo_md5": oxygen if symbol == "O" else symbol.lower()} for symbol in elements.split()}
    return Settings({**COMMON, "ecutwfc_Ry": cutoff}, pseudos)


def test_the_hash_is_that_of_the_common_part() -> None:
    assert settings("Pb O").hash == settings("Ti O").hash != settings("Pb O", 31.0).hash
    assert len(settings("Pb O").hash) == 16
    assert digest({"a": 30, "b": [1, 2]}) == digest({"b": (1.0, 2.0), "a": 30.0})
    assert digest({"a": True}) != digest({"a": 1})


def test_there_and_back() -> None:
    content = json.loads(json.dumps(settings("Pb Ti O").as_dict()))
    assert Settings.from_dict(content) == settings("Pb Ti O")
    assert content["hash"] == settings("Pb").hash


def test_equal_settings_may_meet() -> None:
    check_same({"PbO": settings("Pb O"), "TiO2": settings("Ti O"), "Pb": settings("Pb")})


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (settings("Ti O", 40.0), "ecutwfc_Ry: 30.0 and 40.0"),
        (settings("Ti O", oxygen="cd"), "O pseudo_md5: 'ab' and 'cd'"),
    ],
)
def test_different_settings_are_refused(other: Settings, words: str) -> None:
    with pytest.raises(SettingsDifferError, match=f"PbO and TiO2 have different settings.*{words}"):
        check_same({"PbO": settings("Pb O"), "Pb": settings("Pb"), "TiO2": other})
