"""Weights in eight bits: whole numbers of a step that every output channel has for itself.

For networks whose weights need not be exact, such as priors. The error of a weight is at most half a step, 1/254 of
the largest weight of its channel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

STEP = "::step"  # of the name of the tensor that holds the steps


def quantised(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return matrices and kernels as int8 with their steps beside them, and everything else in half precision.

    :param weights: name -> tensor; the first axis of a matrix or kernel counts output channels.
    """
    import torch

    result = {}
    for name, value in weights.items():
        if not value.is_floating_point() or value.dim() < 2:
            result[name] = value.half() if value.is_floating_point() else value
            continue
        rows = value.float().flatten(1)
        step = (rows.abs().amax(dim=1) / 127).clamp(min=torch.finfo(torch.float32).tiny)
        if step.min() >= torch.finfo(torch.float16).tiny:  # below, half precision has fewer than its eleven bits
            step = step.half()
        whole = (rows / step.float()[:, None]).round().clamp(-127, 127)
        result[name] = whole.to(torch.int8).reshape(value.shape)
        result[name + STEP] = step
    return result


def restored(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return float32 weights from what :func:`quantised` returned, or from weights that were never quantised."""
    weights = {}
    for name, value in tensors.items():
        if name.endswith(STEP):
            continue
        step = tensors.get(name + STEP)
        if step is not None:
            value = value.float() * step.float().reshape(-1, *[1] * (value.dim() - 1))
        weights[name] = value.float() if value.is_floating_point() else value
    return weights
