"""Periodic building blocks: a field on the grid of a cell has no edge, so every convolution wraps around."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional

from ..results import StageError
from ..settings import Strict
from .spectral import LARGEST, spectral_conv

ConfigT = TypeVar("ConfigT", bound=Strict)


def network_config(kind: type[ConfigT], options: dict[str, Any], **fixed: Any) -> ConfigT:
    """Return the configuration of a network from the user's options and what the data decide.

    :raises StageError: an unknown option or an unacceptable value.
    """
    taken = sorted(set(options) & set(fixed))
    if taken:
        raise StageError("settings_rejected", f"options: {', '.join(taken)} follow from the data; leave them out")
    try:
        return kind(**{**options, **fixed})
    except ValidationError as exception:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exception.errors())
        raise StageError(
            "settings_rejected", f"options: {problems}. Accepted: {', '.join(kind.model_fields)}"
        ) from None


class PeriodicConv(nn.Conv3d):
    """A 3x3x3 convolution that wraps around the cell."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1, padding_mode="circular")

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, n, n, n) to (B, O, n, n, n)."""
        if x.shape[-1] <= LARGEST:
            return spectral_conv(x, self.weight, self.bias)
        return super().forward(x)


class ResidualBlock(nn.Module):
    """Two periodic convolutions around a shortcut, normalised per crystal (independent of the batch)."""

    def __init__(self, channels: int, groups: int = 8) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(groups, channels),
            nn.SiLU(),
            PeriodicConv(channels, channels),
            nn.GroupNorm(groups, channels),
            nn.SiLU(),
            PeriodicConv(channels, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, n, n, n) to the same."""
        return x + self.body(x)


class PreActivatedConv(nn.Module):
    """One periodic convolution around a shortcut: half the cost of a residual block."""

    def __init__(self, channels: int, groups: int = 8) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.GroupNorm(groups, channels), nn.SiLU(), PeriodicConv(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, n, n, n) to the same."""
        return x + self.body(x)


def space_to_depth(x: Tensor, block: int) -> Tensor:
    """Fold blocks of voxels into channels: (B, C, n, n, n) -> (B, C b³, n/b, n/b, n/b)."""
    batch, channels, n = x.shape[:3]
    m = n // block
    x = x.reshape(batch, channels, m, block, m, block, m, block)
    return x.permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(batch, channels * block**3, m, m, m)


def depth_to_space(x: Tensor, block: int) -> Tensor:
    """Undo :func:`space_to_depth`: (B, C b³, m, m, m) -> (B, C, m b, m b, m b)."""
    batch, folded, m = x.shape[:3]
    channels = folded // block**3
    x = x.reshape(batch, channels, block, block, block, m, m, m)
    return x.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(batch, channels, m * block, m * block, m * block)


def sample_at(field: Tensor, frac: Tensor) -> Tensor:
    """Read a field at fractional coordinates by periodic trilinear interpolation.

    :param field: (B, C, n, n, n).
    :param frac: (B, S, 3).
    :return: (B, S, C).
    """
    batch, sites = frac.shape[:2]
    owner = torch.arange(batch, device=frac.device).repeat_interleave(sites)
    return sample_points(field, owner, frac.reshape(-1, 3)).reshape(batch, sites, -1)


def sample_points(field: Tensor, owner: Tensor, frac: Tensor) -> Tensor:
    """Read a field at points that are listed one by one, as :func:`sample_at` does.

    :param field: (B, C, n, n, n).
    :param owner: (M,) sample of each point; ``frac``: (M, 3).
    :return: (M, C).
    """
    n = field.shape[-1]
    position = (frac % 1.0) * n
    low = position.floor()
    t = position - low  # (M, 3)
    low = low.long() % n
    index = torch.stack([low, (low + 1) % n], dim=2)  # (M, 3, 2)
    share = torch.stack([1 - t, t], dim=2)
    place = torch.tensor([n * n, n, 1], device=field.device)
    x, y, z = (index * place[:, None]).unbind(1)  # (M, 2) each
    corner = (owner[:, None] * n**3 + x).reshape(-1, 2, 1, 1) + y.reshape(-1, 1, 2, 1) + z.reshape(-1, 1, 1, 2)
    x, y, z = share.unbind(1)
    weight = x.reshape(-1, 2, 1, 1) * y.reshape(-1, 1, 2, 1) * z.reshape(-1, 1, 1, 2)
    voxels = field.flatten(2).transpose(1, 2).flatten(0, 1)  # (B n³, C)
    # One weighted sum of eight rows a point, without eight arrays in between.
    return functional.embedding_bag(
        corner.flatten(1), voxels, per_sample_weights=weight.flatten(1).to(voxels.dtype), mode="sum"
    )
