"""Matrix products of float32 on a CPU through oneDNN.

torch takes those of MKL, which reach half of what oneDNN does on processors that are not Intel's.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def onednn_linear(input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return the product of oneDNN; an operator that torch keeps for its compiler and may change."""
    if 0 in weight.stride():  # expanded, such as the gradient of a sum: a hundred times as slow as the copy
        weight = weight.contiguous()
    product: Tensor = torch.ops.mkldnn._linear_pointwise(input, weight, bias, "none", [], "")
    return product


@lru_cache(maxsize=1)
def onednn_linear_works() -> bool:
    """Try the operator once: where this torch lacks it, or it does something else, the public one is taken."""
    weight, bias, x = torch.eye(3, 2), torch.arange(3.0), torch.ones(4, 2)
    try:
        found = onednn_linear(x, weight, bias)
    except (AttributeError, RuntimeError, TypeError):
        return False
    return bool(torch.equal(found, functional.linear(x, weight, bias)))


class _Product(torch.autograd.Function):
    """The operator has no gradient of its own."""

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor) -> Tensor:
        ctx.save_for_backward(left, right)
        return onednn_linear(left, right, None)

    @staticmethod
    def backward(ctx: Any, *pull: Tensor) -> tuple[Tensor | None, Tensor | None]:
        left, right = ctx.saved_tensors
        to_left = onednn_linear(pull[0], right.T, None) if ctx.needs_input_grad[0] else None
        to_right = onednn_linear(pull[0].T, left.T, None) if ctx.needs_input_grad[1] else None
        return to_left, to_right


def product(left: Tensor, right: Tensor) -> Tensor:
    """Return ``left @ right.T``, differentiable once.

    :param left: (M, K); ``right``: (N, K).
    :return: (M, N).
    """
    if left.device.type != "cpu" or left.dtype != torch.float32 or not onednn_linear_works():
        return left @ right.T
    if not (torch.is_grad_enabled() and (left.requires_grad or right.requires_grad)):
        return onednn_linear(left, right, None)
    result: Tensor = _Product.apply(left, right)
    return result
