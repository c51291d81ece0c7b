"""All that a prior is told of a crystal, as one vector of numbers.

Every condition has its block in the vector, and the last number of a block is 1 where the condition is made; a block
of zeros asks for nothing. The same vector describes a training crystal, of which blocks are blanked at random.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import Field

from ..crystals.batch import Crystals
from ..strict import Strict
from .condition import Known
from .listed import encoding_of


class Block(Strict):
    """A condition as a model file names it."""

    name: str
    width: int = Field(ge=1)
    """Numbers that encode it, without the one that says whether it is made."""


def blocks_of(names: Sequence[str], known: Known) -> list[Block]:
    """Return the blocks of conditions by their names, in their order.

    :raises ValueError: a name that is no condition, or twice the same.
    """
    if len(set(names)) != len(names):
        raise ValueError(f"conditions {', '.join(names)}: name each once")
    return [Block(name=name, width=encoding_of(name).width(known)) for name in names]


class ConditionSpace:
    """Where each condition stands in the vector.

    :ivar encodings: name -> condition; ``blocks``: name -> its place; ``size``: length of the vector.
    """

    def __init__(self, blocks: Sequence[Block], known: Known) -> None:
        """Lay the blocks out one after the other.

        :raises ValueError: a condition that this release does not have, or encodes in other numbers.
        """
        self.known = known
        self.encodings = {block.name: encoding_of(block.name) for block in blocks}
        self.blocks: dict[str, slice] = {}
        self.size = 0
        for block in blocks:
            width = self.encodings[block.name].width(known)
            if width != block.width:
                raise ValueError(
                    f"the model was told of {block.name} in {block.width} numbers, this release encodes it in {width}"
                )
            self.blocks[block.name] = slice(self.size, self.size + width + 1)
            self.size += width + 1

    def vector(self, shown: Mapping[str, Any]) -> np.ndarray:
        """Return the (C,) float32 vector of what is asked for; what has no block is left out.

        :param shown: name -> value as crystals show it, see :func:`.asking.completed`.
        """
        row = np.zeros(self.size, dtype=np.float32)
        for name, place in self.blocks.items():
            if name in shown:
                row[place] = [*self.encodings[name].encode([shown[name]], self.known)[0], 1.0]
        return row

    def describe(self, crystals: Crystals, properties: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return what is true of each crystal, (B, C) float32.

        :param properties: name -> (B,) values of the properties aimed at.
        """
        rows = np.zeros((len(crystals), self.size), dtype=np.float32)
        for name, place in self.blocks.items():
            shown = self.encodings[name].describe(crystals, properties)
            there = [index for index, value in enumerate(shown) if value is not None]
            if there:
                rows[there, place] = np.pad(
                    self.encodings[name].encode([shown[index] for index in there], self.known),
                    ((0, 0), (0, 1)),
                    constant_values=1.0,
                )
        return rows
