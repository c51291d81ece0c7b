"""How an energy was obtained: a property of one fidelity has a column of its own, named by it.

Energies of different functionals, pseudopotentials, cut-offs or potentials never meet in one column:
``formation_energy_per_atom@LDA-1f0c8a2b`` is the formation energy by LDA with the settings whose hash begins so. The
column without ``@`` is what the source of the data gave.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

MARK = "@"
DIGITS = 8
_NAME = re.compile(r"[^A-Za-z0-9+._-]+")


class FidelityError(ValueError):
    """Values of two fidelities were to share a column; the message says what differs."""


@dataclass(frozen=True)
class Fidelity:
    """How the values of a column were obtained.

    :param functional: or the name of a potential: ``LDA``, ``PBE``, ``7net-0``.
    :param program: that computed them.
    :param settings_hash: of the settings that hold for all elements.
    :param elements: symbol -> hash of what holds for that element, such as its pseudopotential.
    :param zero: what formation energies count from.
    """

    functional: str
    program: str
    settings_hash: str
    elements: Mapping[str, str] = field(default_factory=dict)
    zero: str = "the elements in their reference states, computed with the same settings"

    def __post_init__(self) -> None:
        if not self.functional or not self.settings_hash:
            raise FidelityError(f"a fidelity needs a functional and the hash of its settings; received {self}")

    @property
    def label(self) -> str:
        """Functional and the first digits of the hash."""
        return f"{_NAME.sub('-', self.functional).strip('-')}-{self.settings_hash[:DIGITS]}"

    def column(self, quantity: str) -> str:
        """Return the name of the column of a quantity, such as ``formation_energy_per_atom``."""
        return f"{quantity}{MARK}{self.label}"

    def joined(self, other: Fidelity, column: str) -> Fidelity:
        """Return the fidelity of a column that holds values of both.

        :raises FidelityError: they differ in what they have in common.
        """
        for name in ("functional", "program", "settings_hash", "zero"):
            one, two = getattr(self, name), getattr(other, name)
            if one != two:
                raise FidelityError(f"{column}: values with {name} {one!r} and {two!r} cannot share a column")
        shared = set(self.elements) & set(other.elements)
        if differing := sorted(symbol for symbol in shared if self.elements[symbol] != other.elements[symbol]):
            raise FidelityError(
                f"{column}: the settings of {', '.join(differing)} (pseudopotential, Hubbard terms) are not those of "
                "the values that are there; compute both with one family of pseudopotentials"
            )
        return Fidelity(
            self.functional, self.program, self.settings_hash, {**self.elements, **other.elements}, self.zero
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Fidelity:
        """Return what :meth:`as_dict` gave."""
        return cls(**content)


def quantity_of(column: str) -> str:
    """Return the quantity of a column, without its fidelity."""
    return column.partition(MARK)[0]
