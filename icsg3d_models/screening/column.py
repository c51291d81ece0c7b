"""A column of the screening table: what stands in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Column:
    """One column.

    :param name: as in the header.
    :param kind: what its cells hold; an empty cell is what was not found or not judged.
    :param unit: of a number, empty where it has none.
    :param meaning: one sentence.
    """

    name: str
    kind: Literal["text", "whole", "number", "truth"]
    unit: str
    meaning: str
