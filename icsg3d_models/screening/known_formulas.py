"""A list of known compounds: the one of the package, or a text file with one formula a line."""

from __future__ import annotations

import functools
import gzip
from dataclasses import dataclass
from math import gcd
from pathlib import Path

from ..crystals.elements import NUMBER
from ..crystals.formulas import whole_amounts
from ..results import StageError
from ..stability.references import known_formulas


@dataclass(frozen=True)
class KnownFormulas:
    """Compounds that are known.

    :param name: of the list.
    :param contents: what each is made of, see :func:`contents_key`.
    """

    name: str
    contents: frozenset[str]

    def holds(self, formula: str) -> bool:
        """Tell whether a compound of this formula is there, in whatever order and multiple it is written."""
        return contents_key(formula) in self.contents


def contents_key(formula: str) -> str:
    """Return the same text for all ways of writing one composition: symbols by the alphabet, no common factor.

    :raises ValueError: no formula of whole amounts.
    """
    amounts = whole_amounts(formula)
    unit = gcd(*amounts.values())
    return "".join(f"{symbol}{amounts[symbol] // unit}" for symbol in sorted(amounts))


@functools.lru_cache(maxsize=1)
def shipped_known_formulas() -> KnownFormulas:
    """Return the elements, and the compounds of the Materials Project, as the package's table of phases has them."""
    found = {f"{symbol}1" for symbol in NUMBER}
    for formula in known_formulas():
        if "." not in formula:  # amounts that are not whole are heights of a hull, no compounds
            found.add(contents_key(formula))
    return KnownFormulas("Materials Project", frozenset(found))


def read_known_formulas(path: Path) -> KnownFormulas:
    """Read a list of formulas, plain or compressed (.gz); empty lines and what follows # are left out.

    :raises StageError: the file is missing, not text, empty, or a line is no formula.
    """
    if not path.is_file():
        raise StageError("input_missing", f"{path}: no such file; `known_formulas` takes a text file, a formula a line")
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError, EOFError) as exception:
        raise StageError("input_unreadable", f"{path}: not readable as text ({exception})") from exception
    found = set()
    for number, line in enumerate(text.splitlines(), 1):
        formula = line.partition("#")[0].strip()
        if formula:
            try:
                found.add(contents_key(formula))
            except ValueError as exception:
                raise StageError("input_unreadable", f"{path}, line {number}: {exception}") from None
    if not found:
        raise StageError("input_unreadable", f"{path}: no formula in it; write one a line, like PbTiO3")
    return KnownFormulas(path.name, frozenset(found))
