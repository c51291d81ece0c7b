"""What users write to name elements and compositions. No torch, no aiida; pymatgen only where a formula is read."""

from __future__ import annotations

import re

from .elements import NUMBER


def check_elements(symbols: list[str] | None) -> list[str] | None:
    """Return the symbols, each once, sorted by atomic number; refuse what is no element."""
    if symbols is None:
        return None
    unknown = [s for s in symbols if s not in NUMBER]
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: no chemical symbol; write them like Pb, Ti, O")
    if not symbols:
        raise ValueError("the list of elements is empty; leave it out to allow every element the model knows")
    return sorted(set(symbols), key=lambda s: NUMBER[s])


def check_composition(value: str | None) -> str | None:
    """Return the formula of one cell as it was written; refuse what names no elements, or parts of an atom."""
    if value is None:
        return None
    amounts = amounts_of(value)
    if not amounts or any(amount != int(amount) for amount in amounts.values()):
        raise ValueError(f"{value!r}: no whole atoms in it; write the formula of one cell, like PbTiO3 or C8")
    check_elements(list(amounts))
    return value


def check_anonymous(value: str | None) -> str | None:
    """Return an anonymous formula as it was written; refuse what is none."""
    if value is not None:
        anonymous_amounts(value)
    return value


def amounts_of(formula: str) -> dict[str, float]:
    """Return symbol -> amount of a formula as it is written, not reduced."""
    from pymatgen.core import Composition

    try:
        return {str(symbol): float(amount) for symbol, amount in Composition(formula).as_dict().items()}
    except ValueError as exception:
        raise ValueError(f"{formula!r}: no formula ({exception}); write it like PbTiO3 or C8") from None


def anonymous_amounts(formula: str) -> list[int]:
    """Return the amounts of an anonymous formula: 1, 1, 3 for ABC3."""
    parts = re.findall(r"([A-Z])(\d*)", formula)
    letters = [letter for letter, _ in parts]
    if "".join(letter + number for letter, number in parts) != formula or len(set(letters)) != len(letters):
        raise ValueError(f"{formula!r}: no anonymous formula; write one capital letter an element, like ABC3")
    amounts = [int(number or 1) for _, number in parts]
    if not amounts or min(amounts) < 1:
        raise ValueError(f"{formula!r}: an amount is missing or zero; write it like ABC3")
    return amounts
