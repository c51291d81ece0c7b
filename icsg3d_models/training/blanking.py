"""What a prior is told of a training crystal: never all of it, so that any part can be left unasked."""

from __future__ import annotations

import torch
from torch import Tensor

from ..conditions.space import ConditionSpace

MOST_FREE = 0.1  # share of training crystals that nothing is said of


def widened(space: ConditionSpace, rows: Tensor, generator: torch.Generator) -> Tensor:
    """Return vectors of crystals with more said to be allowed than they show, where a condition takes that.

    "Only these elements" is learned from supersets of what the crystal holds, of every size.

    :param rows: (B, C), see :class:`icsg3d_models.conditions.space.ConditionSpace`.
    """
    more = rows.clone()
    for name, place in space.blocks.items():
        if space.encodings[name].grows:
            allowed = rows[:, place]
            drawn = torch.rand(allowed.shape, generator=generator, device=rows.device)
            share = torch.rand((len(rows), 1), generator=generator, device=rows.device) ** 2
            more[:, place] = torch.maximum(allowed, (drawn < share).to(rows.dtype))
            more[:, place.stop - 1] = rows[:, place.stop - 1]  # that it is made, or not
    return more


def blanked(
    space: ConditionSpace,
    rows: Tensor,
    generator: torch.Generator,
    blank: float | None = None,
    free: float = MOST_FREE,
) -> Tensor:
    """Return vectors of crystals with conditions left out at random.

    :param rows: (B, C).
    :param blank: share of crystals without each condition; None: as each condition says.
    :param free: share of crystals of which nothing is said.
    """

    def uniform() -> Tensor:
        return torch.rand((len(rows), 1), generator=generator, device=rows.device)

    keep = torch.ones_like(rows)
    kept = uniform() >= free
    for name, place in space.blocks.items():
        rate = space.encodings[name].blank if blank is None else blank
        keep[:, place] = (kept & (uniform() >= rate)).to(rows.dtype)
    return rows * keep
