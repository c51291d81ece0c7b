"""The chemical space of a run."""

from __future__ import annotations

import pytest

from aiida_icsg3d.launch.elements import check_symbols, choose_elements


def test_elements_that_somebody_lacks_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    known = {"the model": {"Pb", "O", "C"}, "the family": {"O", "C"}}
    assert choose_elements(["O", "Pb", "O"], known) == ["O"]
    assert "Pb left out: the family lacks it" in capsys.readouterr().out
    with pytest.raises(ValueError, match="none of the elements Pb can be used"):
        choose_elements(["Pb"], known)


@pytest.mark.parametrize(
    ("symbol", "message"),
    [("Tii", r"'Tii' is no chemical symbol; close to it are Ti"), ("pb", "close to it are Pb"), ("Q9", "write them")],
)
def test_what_is_no_element_is_refused(symbol: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_symbols(["Pb", symbol])
