"""A model that knows more: elements and conditions are added, and what it knew it does as before.

A new element starts as the known one whose code is nearest to its own, so that the network has something to say of it
from the first step; a new condition starts with weights of zero, so that it changes nothing until it is learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..conditions.space import Block, ConditionSpace, blocks_of
from ..crystals.elements import code_table
from .generator import known_of
from .layers.flow import TIME_FEATURES
from .model_file import ModelFileError, ModelHeader

SPECIES_HEAD = ("species_head.3.weight", "species_head.3.bias")  # of the U-Net: a row for every element
# Of the local prior: the first layer of each of its two flows, and how many inputs come before the conditions.
TOLD = {"lattice.condition.0.weight": TIME_FEATURES, "context.0.weight": TIME_FEATURES + 6}


def nearest_known(elements: Sequence[int], known: Sequence[int]) -> list[int]:
    """Return for each of the elements its own place among the known ones, or that of the one most like it."""
    codes = torch.tensor(code_table(), dtype=torch.float64)
    distance = torch.cdist(codes[list(elements)], codes[list(known)])
    places: list[int] = distance.argmin(dim=1).tolist()
    return places


def grown(
    header: ModelHeader, weights: dict[str, Tensor], elements: Sequence[int], conditions: dict[str, Any] | None = None
) -> tuple[ModelHeader, dict[str, Tensor]]:
    """Return header and weights of a model that knows these elements beside its own.

    :param header: of a U-Net, a VAE, or a prior of a local VAE; ``weights``: name -> tensor.
    :param elements: atomic numbers.
    :param conditions: priors: ``conditions``, ``targets``, ``target_mean`` and ``target_std`` as in their
        configuration, which hold those of the model and may hold more; None: its own. Its own targets keep their scale.
    :raises ModelFileError: a class that cannot grow, or conditions that leave out some of its own.
    """
    config, own = dict(header.config), list(header.config["elements"])
    every = sorted({*own, *elements})
    new = {**config, "elements": every}
    if header.class_name == "UNet":
        rows = nearest_known(every, own)
        weights = {**weights, **{name: weights[name][rows].clone() for name in SPECIES_HEAD}}
    elif header.class_name == "LocalPrior":
        new |= conditions or _own_conditions(config, every)
        new |= {"examples": 0, "example_kinds": 0, "example_symmetry": False}  # they follow from the data
        weights = {name: value for name, value in weights.items() if name not in ("kept_examples", "kept_symmetry")}
        scales = dict(
            zip(config["targets"], zip(config["target_mean"], config["target_std"], strict=True), strict=True)
        )
        for index, name in enumerate(new["targets"]):
            if name in scales:
                new["target_mean"][index], new["target_std"][index] = scales[name]
        before, after = space_of(config), space_of(new)
        if lost := [name for name in before.blocks if name not in after.blocks]:
            raise ModelFileError(f"the prior was told of {', '.join(lost)}; ask for it again, or start from nothing")
        source, target = _columns(before, own, after, every)
        for name, first in TOLD.items():
            wide = torch.zeros(len(weights[name]), first + after.size, dtype=weights[name].dtype)
            wide[:, :first] = weights[name][:, :first]
            wide[:, [first + i for i in target]] = weights[name][:, [first + i for i in source]]
            weights = {**weights, name: wide}
    elif header.class_name not in ("VAE", "LocalVAE"):  # whose weights speak of element codes, not of elements
        raise ModelFileError(f"a {header.class_name} cannot be given more elements; train it from nothing")
    return ModelHeader(header.network, new, header.card, header.class_name), weights


def _own_conditions(config: dict[str, Any], elements: list[int]) -> dict[str, Any]:
    """Return what a configuration says of its conditions, with as many numbers as there are elements now."""
    own = {key: list(config[key]) for key in ("targets", "target_mean", "target_std")}
    known = known_of(elements, own["targets"], own["target_mean"], own["target_std"])
    blocks = blocks_of([block["name"] for block in config["conditions"]], known)
    return {**own, "conditions": [block.model_dump() for block in blocks]}


def space_of(config: dict[str, Any]) -> ConditionSpace:
    """Return the conditions of a prior by its configuration."""
    blocks = [Block.model_validate(block) for block in config["conditions"]]
    known = known_of(config["elements"], config["targets"], config["target_mean"], config["target_std"])
    return ConditionSpace(blocks, known)


def _columns(
    before: ConditionSpace, own: list[int], after: ConditionSpace, every: list[int]
) -> tuple[list[int], list[int]]:
    """Return the numbers of the old conditions and where each goes in the new ones; those of elements go to several.

    Blocks that grow with the elements begin with one number an element.
    """
    source, target = [], []
    places = nearest_known(every, own)
    for name, old in before.blocks.items():
        wide = after.blocks[name]
        by_element = (wide.stop - wide.start) - (old.stop - old.start) == len(every) - len(own) and len(every) > len(
            own
        )
        if by_element:
            source += [old.start + place for place in places]
            target += [wide.start + i for i in range(len(every))]
        kept = len(own) if by_element else 0
        source += range(old.start + kept, old.stop)
        target += range(wide.stop - (old.stop - old.start - kept), wide.stop)
    return source, target
