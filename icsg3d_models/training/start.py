"""The model that a training starts from: its weights, and everything that gives them their meaning.

Elements, conditions, targets and the numbers that standardise them stay those of the file, whatever the new data would
give: weights mean something else with other ones. What cannot be kept is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..crystals.elements import SYMBOLS
from ..data.datasets import Dataset
from ..networks.classes import CLASSES
from ..networks.growing import grown
from ..networks.model_file import ModelFileError, ModelHeader, file_hash, load_weights, read_header
from ..networks.registry import class_of, load_network
from ..results import StageError
from ..settings import TrainSettings

OWN = {"unet": "UNet", "cgcnn": "CGCNN", "voxelnet": "VoxelNet"}  # network -> its class, where there is but one
SYSTEMS = {"cgcnn": "ICSG3DCGCNN", "voxelnet": "VoxelNet"}  # of the seed papers
OF_GRIDS = {"VAE", "LocalVAE", "Prior", "LocalPrior"}  # classes that the network before them decides
CELL_OPTIONS = ("lattice_width", "lattice_depth")  # of a network that a prior which grows learns anew


def starting_network(
    settings: TrainSettings,
    dataset: Dataset,
    device: torch.device,
    class_name: str | None = None,
    conditions: Callable[[list[int]], dict[str, Any]] | None = None,
) -> Any | None:
    """Return the network of the model file `start_from`, None where a training starts from nothing.

    :param class_name: the class that fits the network before it; None: there is only one.
    :param conditions: what the configuration of a prior that knows these elements says of its conditions, where they
        may grow.
    :raises icsg3d_models.networks.model_file.ModelFileError: no model file, or of another network.
    :raises StageError: a model of another class, options that are not its own, or elements that it does not know.
    """
    if settings.start_from is None:
        return None
    path = settings.start_from
    header = read_header(path, settings.network)
    class_name = class_name or (SYSTEMS if settings.preset else OWN).get(settings.network)
    if class_name is not None and header.class_name != class_name:
        if {class_name, header.class_name} - OF_GRIDS:
            raise StageError(
                "input_incompatible",
                f"{path}: of the class {header.class_name}, where {class_name} is trained; take its `preset`",
            )
        kinds = {name: "a `spacing`" if name.startswith("Local") else "a `grid`" for name in CLASSES}
        raise StageError(
            "input_incompatible",
            f"{path}: a {settings.network} for fields of {kinds[header.class_name]}, the network before it has "
            f"{kinds[class_name]}; give the one that it was trained upon",
        )
    present = np.unique(dataset.crystals.take(dataset.part("train")).numbers).tolist()
    module: Any
    if settings.grow:
        module = _grown(path, header, present, conditions).to(device)
    else:
        module = load_network(path, settings.network, device)
    own = module.config.model_dump()
    given = settings.options.model_dump(exclude_unset=True)
    free = CELL_OPTIONS if settings.grow else ()
    differing = [name for name, value in given.items() if name not in free and own.get(name, value) != value]
    if differing:
        other = [f"{name} {given[name]} (the model has {own[name]})" for name in differing]
        raise StageError(
            "settings_rejected",
            f"options: {', '.join(other)}; a training that starts from a model keeps its shape: leave them out",
        )
    if foreign := [SYMBOLS[z] for z in present if z not in module.config.elements]:
        raise StageError(
            "input_incompatible",
            f"{path}: the model does not know {', '.join(foreign)}, which the training part holds; leave these "
            "crystals out, let it learn them with `grow`, or train without `start_from`",
        )
    return module.train()


def _grown(
    path: str, header: ModelHeader, elements: list[int], conditions: Callable[[list[int]], dict[str, Any]] | None
) -> Any:
    """Return the network of a model file with more elements and conditions, see :mod:`..networks.growing`.

    :raises StageError: it cannot grow.
    """
    every = sorted({*header.config["elements"], *elements})
    try:
        new, weights = grown(header, load_weights(path), every, None if conditions is None else conditions(every))
    except ModelFileError as exception:
        raise StageError("settings_rejected", f"`grow`: {path}: {exception}") from None
    network, config = class_of(new.class_name)
    module = network(config(**new.config))
    module.load_state_dict(weights)
    return module


def check_kept(what: str, given: list[str] | None, own: list[str]) -> None:
    """Refuse names in the settings that are not those of the model to start from; none given: its own are taken.

    :raises StageError: with both lists.
    """
    if given and given != own:
        raise StageError(
            "settings_rejected",
            f"`{what}`: {', '.join(given)}; the model to start from was trained with {', '.join(own) or 'none'}, which "
            f"it keeps: leave `{what}` out, or train without `start_from`",
        )


def check_fitted(config: Any, vae: str) -> None:
    """Check that a prior was fitted to a VAE, or to a model from which that was fine-tuned.

    :raises StageError: its latents are those of another VAE.
    """
    named = config.vae_sha256
    card = read_header(vae, "vae").card
    related = {file_hash(vae), *card.get("formerly", []), *ancestors(card)}
    if named and named not in related:
        raise StageError(
            "input_incompatible",
            f"{vae}: the prior to start from was fitted to the VAE {named[:12]}…, which is neither this one nor one "
            "that it was fine-tuned from; give that VAE",
        )


def ancestors(card: dict[str, Any]) -> list[str]:
    """Return the SHA-256 of all models from which a model was fine-tuned, by its card, the last one first."""
    start = card.get("fine_tuned_from")
    return [start["sha256"], *start["earlier"]] if start else []


def told_of_start(path: str | Path, sha256: str) -> dict[str, Any]:
    """Return what the card of a fine-tuned model says of the one that it started from.

    ``sha256`` of the file; ``data``, ``steps`` and ``targets`` as it says; ``earlier``: SHA-256 of all that it started
    from in turn.
    """
    header: ModelHeader = read_header(path)
    card = header.card
    kept: dict[str, Any] = {name: card[name] for name in ("data", "steps") if name in card}
    if header.config.get("targets"):
        kept["targets"] = header.config["targets"]
    return {"sha256": sha256, **kept, "earlier": ancestors(card)}
