"""Formulas: what users write to name elements and compositions, and how a chemist writes what came out.

No torch, no aiida; pymatgen only where a formula is read.
"""

from __future__ import annotations

import re
from functools import cache
from math import gcd

from .elements import NUMBER

OXOANIONS = ("B", "C", "N", "P", "S", "Cl", "As", "Se", "Br", "I")
"""Elements whose group with oxygen is written in brackets, as in Ca3(PO4)2."""
LARGEST_GUESSED = 60  # atoms in the reduced formula up to which charges are tried; beyond, the search takes seconds

_PART = re.compile(r"([A-Z][a-z]?)(\d*)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")
_GROUP = re.compile(r"\(([^()]*)\)(\d*)")


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


def whole_amounts(formula: str) -> dict[str, int]:
    """Return symbol -> amount of a formula of whole amounts, also of one with groups, such as Al(NO)2.

    A hundred times as fast as :func:`amounts_of`, for lists of formulas.

    :raises ValueError: no formula, or amounts that are not whole.
    """
    flat = formula
    while (group := _GROUP.search(flat)) is not None and _WHOLE.fullmatch(group[1]) is not None:  # from the inside out
        times = int(group[2] or 1)
        inner = "".join(f"{symbol}{int(number or 1) * times}" for symbol, number in _PART.findall(group[1]))
        flat = flat[: group.start()] + inner + flat[group.end() :]
    if _WHOLE.fullmatch(flat) is None:
        raise ValueError(f"{formula!r} is no formula of whole amounts, like PbTiO3")
    amounts: dict[str, int] = {}
    for symbol, number in _PART.findall(flat):
        amounts[symbol] = amounts.get(symbol, 0) + int(number or 1)
    unknown = [symbol for symbol in amounts if symbol not in NUMBER]
    if unknown or 0 in amounts.values():
        raise ValueError(f"{formula!r}: {', '.join(unknown) or 'an amount of zero'} is no element or amount")
    return amounts


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


@cache
def chemical_formula(formula: str) -> str:
    """Return the reduced formula as chemists write it: PbTiO3, BiFeO3, CuInS2, ZnFe2O4, Ca3(PO4)2, NH3.

    Cations come first, by rising charge and, at one charge, by falling radius, which puts the A site of a perovskite
    before its B site; anions follow by rising electronegativity. Charges are the likeliest ones that balance, by
    pymatgen's statistics of the ICSD. Without such charges, as in an alloy, the order is that of electronegativity.

    :param formula: any formula, in any order; what is none is returned as it is.
    """
    from pymatgen.core import Composition, Element

    try:
        composition = Composition(formula)
    except ValueError:
        return formula
    amounts = {str(e): float(n) for e, n in composition.reduced_composition.items()}
    if not amounts or not amounts.keys() <= NUMBER.keys():
        return formula
    if len(amounts) == 1:
        return str(composition.reduced_formula)
    elements = {symbol: Element(symbol) for symbol in amounts}
    charges = charges_of(amounts)

    def key(symbol: str) -> tuple[float, float, float]:
        element = elements[symbol]
        electronegativity = element.X if element.X == element.X else 0.0  # NaN: a noble gas
        charge = charges.get(symbol, 0.0)
        if charge <= 0:
            return (1.0 if charge < 0 else 0.0, electronegativity, 0.0)
        return (0.0, charge, -float(element.atomic_radius or 0.0))

    order = sorted(amounts, key=key)
    if order[-1] == "H" or (order[0] == "H" and len(order) == 2 and order[1] in ("C", "N", "P", "As")):
        order = [symbol for symbol in order if symbol != "H"] + ["H"]  # NH3, CH4 and hydrides
    elif "H" in amounts and len(order) > 2 and order[-1] == "O" and amounts["H"] == amounts["O"]:
        order = [symbol for symbol in order if symbol not in "OH"] + ["O", "H"]  # NaOH
        return written(order[:-2], amounts) + grouped(["O", "H"], amounts)
    if len(order) > 2 and order[-1] == "O" and order[-2] in OXOANIONS and charges.get(order[-2], 0.0) > 0:
        return written(order[:-2], amounts) + grouped(order[-2:], amounts)
    return written(order, amounts)


def charges_of(amounts: dict[str, float]) -> dict[str, float]:
    """Return the likeliest charges that balance, by element; empty where none do, or none can be told.

    Searched in alphabetical order, so that a tie does not depend on how the formula was written.
    """
    from pymatgen.core import Composition

    if any(amount != int(amount) for amount in amounts.values()) or sum(amounts.values()) > LARGEST_GUESSED:
        return {}
    guesses = Composition(dict(sorted(amounts.items()))).oxi_state_guesses()
    return {str(symbol): float(charge) for symbol, charge in guesses[0].items()} if guesses else {}


def written(symbols: list[str], amounts: dict[str, float]) -> str:
    """Return symbols with their amounts; 1 is left out."""
    return "".join(symbol + (f"{amounts[symbol]:g}" if amounts[symbol] != 1 else "") for symbol in symbols)


def grouped(symbols: list[str], amounts: dict[str, float]) -> str:
    """Return a polyatomic ion, in brackets where it comes more than once."""
    counts = [amounts[symbol] for symbol in symbols]
    if any(count != int(count) for count in counts):
        return written(symbols, amounts)
    times = gcd(*(int(count) for count in counts))
    if times == 1 or times != counts[0]:  # one centre an ion, or it is a chain: P2O7 stays as it is
        return written(symbols, amounts)
    return f"({written(symbols, {symbol: amounts[symbol] / times for symbol in symbols})}){times}"
