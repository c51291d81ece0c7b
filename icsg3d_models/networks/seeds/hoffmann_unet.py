"""The attention U-Net of Hoffmann et al.: which element a point of the box belongs to, 95 independent probabilities.

After arXiv:1909.00949 and its code: five levels of two convolutions each, from 64 to 1024 channels, with batch
normalisation; on the way up what comes from beside passes an attention gate (Oktay et al., arXiv:1804.03999). The field
of 30³ is padded to 32³, and two convolutions with kernels of four bring it back.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...fields.seeds.hoffmann_box import CLASSES
from ...settings.seeds.options import HoffmannUNetOptions


class HoffmannUNetConfig(HoffmannUNetOptions):
    """Configuration of the U-Net."""

    elements: list[int]
    """Atomic numbers that training has seen."""


def block(enters: int, leaves: int, kernel: int = 3) -> nn.Sequential:
    """Return two convolutions, each with batch normalisation and ReLU; kernels of four take a point off each."""
    layers: list[nn.Module] = []
    for channels in (enters, leaves):
        layers += [nn.Conv3d(channels, leaves, kernel, padding=1), nn.BatchNorm3d(leaves), nn.ReLU()]
    return nn.Sequential(*layers)


class Gate(nn.Module):
    """What comes from beside, weighted by how well it goes with what comes from below."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // 2)
        self.below = nn.Sequential(nn.Conv3d(channels, inner, 1), nn.BatchNorm3d(inner))
        self.beside = nn.Sequential(nn.Conv3d(channels, inner, 1), nn.BatchNorm3d(inner))
        self.weight = nn.Sequential(nn.Conv3d(inner, 1, 1), nn.BatchNorm3d(1), nn.Sigmoid())

    def forward(self, below: Tensor, beside: Tensor) -> Tensor:
        """Return (B, C, ...)."""
        weighted: Tensor = beside * self.weight(torch.relu(self.below(below) + self.beside(beside)))
        return weighted


class HoffmannUNet(nn.Module):
    """Density (B, 1, 30, 30, 30) to logits of 95 classes, (B, 95, 30, 30, 30)."""

    def __init__(self, config: HoffmannUNetConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.width * 2**level for level in range(5)]
        self.pad = nn.ReplicationPad3d(1)
        self.down = nn.ModuleList(block(a, b) for a, b in zip([1, *widths], widths, strict=False))
        self.rise = nn.ModuleList(
            nn.Sequential(
                nn.Upsample(scale_factor=2.0), nn.Conv3d(2 * w, w, 3, padding=1), nn.BatchNorm3d(w), nn.ReLU()
            )
            for w in widths[-2::-1]
        )
        self.gates = nn.ModuleList(Gate(w) for w in widths[-2::-1])
        self.up = nn.ModuleList(block(2 * w, w, 4 if w == widths[0] else 3) for w in widths[-2::-1])
        self.head = nn.Conv3d(widths[0], CLASSES, 1)

    def forward(self, density: Tensor) -> Tensor:
        """Return the logits."""
        x = self.pad(density)  # 32³
        kept = []
        for level, layer in enumerate(self.down):
            x = layer(x if level == 0 else nn.functional.max_pool3d(x, 2))
            kept.append(x)
        for rise, gate, up, beside in zip(self.rise, self.gates, self.up, kept[-2::-1], strict=True):
            x = rise(x)
            x = up(torch.cat([gate(x, beside), x], dim=1))
        logits: Tensor = self.head(x)
        return logits
