"""What can be asked of a crystal, as one vector of numbers.

Every wish has its block in the vector, and the last number of a block is 1 where the wish is made; a block of zeros
asks for nothing. The same vector describes a training crystal, of which blocks are blanked at random.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..crystals.elements import code_table

CODES = code_table()
CRYSTAL_SYSTEMS = ("triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic")
MOST_KINDS = 8  # elements of an anonymous formula that are told apart
SITE_FEATURES = 8
MOST_FREE = 0.1  # share of training crystals that nothing is said of
BLANK = {"elements": 0.3, "composition": 0.6, "formula": 0.5, "sites": 0.4, "crystal_system": 0.5}
BLANK_TARGET = 0.5
SYSTEM_STARTS = (1, 3, 16, 75, 143, 168, 195)  # first space group of each crystal system


@dataclass(frozen=True)
class Wishes:
    """What is asked for; None asks for nothing.

    :param elements: atomic numbers that may occur.
    :param composition: atomic number -> amount, in any unit.
    :param amounts: amounts of the elements of an anonymous formula, such as (3, 1, 1) of ABC3.
    :param sites: atoms in the cell.
    :param crystal_system: one of :data:`CRYSTAL_SYSTEMS`.
    :param targets: property -> value.
    """

    elements: Sequence[int] | None = None
    composition: Mapping[int, float] | None = None
    amounts: Sequence[float] | None = None
    sites: int | None = None
    crystal_system: str | None = None
    targets: Mapping[str, float] | None = None


def crystal_system(space_group: int) -> str | None:
    """Return the crystal system of a space group, None for 0, which is none."""
    return CRYSTAL_SYSTEMS[sum(space_group >= first for first in SYSTEM_STARTS) - 1] if space_group else None


class ConditionSpace:
    """Where each wish stands in the vector.

    :ivar blocks: name of a wish -> its place; ``size``: length of the vector.
    """

    def __init__(
        self, elements: list[int], targets: list[str], target_mean: list[float], target_std: list[float]
    ) -> None:
        self.column = {z: i for i, z in enumerate(elements)}
        self.scale = {n: (m, s) for n, m, s in zip(targets, target_mean, target_std, strict=True)}
        lengths = {"elements": len(elements), "composition": len(elements) + len(CODES[0]), "formula": MOST_KINDS}
        lengths |= {"sites": SITE_FEATURES, "crystal_system": len(CRYSTAL_SYSTEMS)}
        lengths |= {f"target {name}": 1 for name in targets}
        self.blocks: dict[str, slice] = {}
        self.size = 0
        for name, length in lengths.items():
            self.blocks[name] = slice(self.size, self.size + length + 1)
            self.size += length + 1

    def vector(self, wishes: Wishes) -> Tensor:
        """Return the (C,) vector of what is asked for; a target that is not finite asks for nothing."""
        row = torch.zeros(self.size)

        def put(block: str, values: list[float]) -> None:
            row[self.blocks[block]] = torch.tensor([*values, 1.0])

        if wishes.elements is not None:
            put("elements", [float(z in wishes.elements) for z in self.column])
        if wishes.composition is not None:
            total = sum(wishes.composition.values())
            shares = {z: amount / total for z, amount in wishes.composition.items()}
            # The mean code too: what is learned of one element is half known of its neighbours in the table.
            mean = [sum(share * CODES[z][i] for z, share in shares.items()) for i in range(len(CODES[0]))]
            put("composition", [shares.get(z, 0.0) for z in self.column] + mean)
        if wishes.amounts is not None:
            parts = sorted((a / sum(wishes.amounts) for a in wishes.amounts), reverse=True)
            put("formula", (parts + [0.0] * MOST_KINDS)[:MOST_KINDS])
        if wishes.sites is not None:
            angles = [math.log(wishes.sites) * 2.0**k for k in range(SITE_FEATURES // 2)]
            put("sites", [f(a) for a in angles for f in (math.sin, math.cos)])
        if wishes.crystal_system is not None:
            put("crystal_system", [float(wishes.crystal_system == name) for name in CRYSTAL_SYSTEMS])
        for name, value in (wishes.targets or {}).items():
            middle, std = self.scale[name]
            if math.isfinite(value):
                put(f"target {name}", [(value - middle) / std])
        return row

    def blanked(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Return (B, C) vectors of crystals with blocks left out, and more elements allowed, at random."""
        device = rows.device

        def uniform(*shape: int) -> Tensor:
            return torch.rand(shape, generator=generator, device=device)

        keep = torch.ones_like(rows)
        kept = uniform(len(rows), 1) >= MOST_FREE
        for name, place in self.blocks.items():
            keep[:, place] = (kept & (uniform(len(rows), 1) >= BLANK.get(name, BLANK_TARGET))).to(rows.dtype)
        # "Only these elements" is learned from supersets of what the crystal holds, of every size.
        allowed = rows[:, self.blocks["elements"]]
        extra = (uniform(*allowed.shape) < uniform(len(rows), 1) ** 2).to(rows.dtype)
        more = rows.clone()
        more[:, self.blocks["elements"]] = torch.maximum(allowed, extra)
        return more * keep
