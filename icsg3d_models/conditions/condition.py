"""What one condition on a crystal has to know of itself.

A condition has three forms of a value: as it is written in settings (``elements: [Pb, O]``), as a crystal shows it
(atomic numbers), and as numbers for a network. :meth:`Condition.read` takes the first to the second,
:meth:`Condition.encode` the second to the third.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError

from ..crystals.batch import Crystals

Value = TypeVar("Value")


@dataclass(frozen=True)
class Known:
    """What a network knows, on which the length and the scale of its numbers depend.

    :param elements: atomic numbers, in the order of its columns.
    :param scales: property -> mean and standard deviation over its training crystals.
    """

    elements: Sequence[int] = ()
    scales: Mapping[str, tuple[float, float]] = field(default_factory=dict)


class Encoding(ABC, Generic[Value]):
    """Something that a crystal shows, or that comes with it, as a network is told of it.

    :cvar name: of the setting, of the option, in model files and in reasons.
    :cvar label: for people, in reports.
    :cvar blank: share of training crystals that a network is not told of it, so that it can be left unasked.
    :cvar grows: True where what is more than a crystal shows is true of it as well, as of the elements allowed.
    """

    name: str
    label: str
    blank: float = 0.5
    grows: bool = False

    @abstractmethod
    def read(self, given: Any) -> Value:
        """Return the value of a setting, which has been checked, as crystals show it."""

    @abstractmethod
    def describe(self, crystals: Crystals, properties: Mapping[str, np.ndarray]) -> Sequence[Value | None]:
        """Return what B crystals show, None where they show nothing.

        :param properties: name -> (B,) values that come with the crystals.
        """

    @abstractmethod
    def width(self, known: Known) -> int:
        """Return how many numbers encode a value."""

    @abstractmethod
    def encode(self, values: Sequence[Value], known: Known) -> np.ndarray:
        """Return the numbers of B values, (B, width)."""

    @abstractmethod
    def words(self, value: Value) -> str:
        """Return a value as people write it."""


class Condition(Encoding[Value]):
    """Something that can be asked of a crystal, and that a crystal shows.

    :cvar type: annotation of the setting, with its checks.
    :cvar help: of the setting, a sentence or two.
    :cvar metavar: what stands for the value in the help of a command line; ``choices``: all values, where they are few.
    :cvar of_space: True where it names the chemical space, which samples around base crystals keep to as well.
    """

    type: Any
    help: str
    metavar: str
    choices: tuple[str, ...] | None = None
    of_space: bool = False

    def parse(self, text: str) -> Any:
        """Return the value of the setting from the words of a command line.

        :raises ValueError: it is not accepted.
        """
        try:
            return TypeAdapter(self.type).validate_strings(text)
        except ValidationError as exception:
            raise ValueError(exception.errors()[0]["msg"]) from None

    @abstractmethod
    def fulfilled(self, crystals: Crystals, value: Value) -> np.ndarray:
        """Return which crystals are as asked, (B,) bool; they may be of any kind, also broken ones."""

    def implied(self, value: Value, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Return what else is asked for with it, name -> value as crystals show it.

        :param asked: all that was asked for, as crystals show it.
        """
        return {}

    def conflict(self, value: Value, asked: Mapping[str, Any]) -> str | None:
        """Return why it cannot be asked for together with the rest, None where it can."""
        return None
