"""Models named on a command line: a pretrained set, a training run, nodes or files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aiida import orm
from aiida.common.exceptions import MultipleObjectsError, NotExistent

from icsg3d_models.crystals.elements import SYMBOLS
from icsg3d_models.networks.classes import CLASSES
from icsg3d_models.networks.model_file import PREDICTORS

from ..data import TrainedModelData
from ..data.pretrained import pretrained_fingerprint, pretrained_models

NEEDED = ("vae", "unet", "prior")


class ModelsError(ValueError):
    """Models that are not there or do not make a set; the message says which and what is accepted."""


def collect_models(names: list[str], store: bool = True) -> dict[str, Any]:
    """Return ``vae``, ``unet``, ``prior`` and ``predictors`` (name -> model).

    :param names: the name of a pretrained set; or the PK or UUID of a training run; or PKs, UUIDs and paths of
        model files, which know themselves what they are.
    :param store: False: models of files that are not in the profile yet stay out of it.
    :raises ModelsError: something of it is not there, or a network is missing or there twice.
    """
    if len(names) == 1 and not names[0].isdigit() and "/" not in names[0] and not Path(names[0]).exists():
        try:
            return pretrained_models(names[0], store)
        except ValueError as exception:
            raise ModelsError(str(exception)) from None
    models: dict[str, Any] = {"predictors": {}}
    for node in (model for name in names for model in load_models(name, store)):
        if node.network in PREDICTORS:
            models["predictors"][f"{node.network}_{len(models['predictors'])}"] = node
        elif node.network in models:
            raise ModelsError(f"two models are {node.network} networks; give one")
        else:
            models[node.network] = node
    needed = [name for name in NEEDED if name != "prior" or not samples_around_base(models)]
    missing = [name for name in needed if name not in models] + ([] if models["predictors"] else ["cgcnn"])
    if missing:
        raise ModelsError(f"no {', no '.join(missing)} among the models given; give all of {', '.join(needed)}, cgcnn")
    return models


def samples_around_base(models: dict[str, Any]) -> bool:
    """Tell whether the VAE needs a prior and there is none, so that base crystals are needed."""
    return "vae" in models and "prior" not in models and CLASSES[models["vae"].class_name].needs_prior


def load_models(name: str, store: bool = True) -> list[TrainedModelData]:
    """Return the models behind a PK, a UUID or a path: one, or those that a training run put out."""
    if Path(name).is_file():
        try:
            return [TrainedModelData.get_or_create(Path(name), store=store)]
        except ValueError as exception:
            raise ModelsError(str(exception)) from None
    try:
        node = orm.load_node(int(name) if name.isdigit() else name)
    except (NotExistent, MultipleObjectsError, ValueError):
        raise ModelsError(f"{name!r} is no file, and no node of this profile; see `verdi data icsg3d --help`") from None
    if isinstance(node, TrainedModelData):
        return [node]
    outputs = [t.node for t in node.base.links.get_outgoing().all() if isinstance(t.node, TrainedModelData)]
    if not outputs:
        raise ModelsError(f"node {name} is a {type(node).__name__} without models among its outputs")
    return outputs


def find_reference(names: list[str], models: dict[str, Any], store: bool = True) -> orm.Data | None:
    """Return what novelty is judged against: the fingerprint of a pretrained set, or the data trained on here.

    :param names: what :func:`collect_models` was called with.
    :param models: what it returned.
    :param store: False: a fingerprint that is not in the profile yet stays out of it.
    """
    if len(names) == 1 and (fingerprint := pretrained_fingerprint(names[0], store)) is not None:
        return fingerprint
    if len(names) == 1 and started_from_a_set(names[0]):
        return find_fingerprint(names[0])
    creator = models["vae"].creator
    return creator.inputs.dataset if creator is not None and "dataset" in creator.inputs else None


def find_fingerprint(name: str) -> orm.SinglefileData | None:
    """Return the fingerprint of all that a shipped set or a training run has learned from, None where there is none."""
    shipped = pretrained_fingerprint(name, store=False)
    run = None if shipped is not None else training_run(name)
    return run.outputs.fingerprint if run is not None and "fingerprint" in run.outputs else shipped


def started_from_a_set(name: str) -> bool:
    """Tell whether a name is that of a training run that started from an earlier set."""
    run = training_run(name)
    return run is not None and "start_from" in run.inputs


def training_run(name: str) -> orm.WorkChainNode | None:
    """Return the training run of a PK or UUID, None where it is something else."""
    try:
        node = orm.load_node(int(name) if name.isdigit() else name)
    except (NotExistent, MultipleObjectsError, ValueError):
        return None
    return node if isinstance(node, orm.WorkChainNode) else None


def predicted_elements(models: dict[str, Any]) -> set[str]:
    """Return the elements that at least one property model knows."""
    return {SYMBOLS[z] for model in models["predictors"].values() for z in model.config["elements"]}


def predicted_properties(models: dict[str, Any]) -> set[str]:
    """Return the properties that at least one property model predicts."""
    return {name for model in models["predictors"].values() for name in model.config.get("targets", [])}


def known_elements(models: dict[str, Any]) -> set[str]:
    """Return the elements that VAE and U-Net both know."""
    numbers = set(models["vae"].config["elements"]) & set(models["unet"].config["elements"])
    return {SYMBOLS[z] for z in numbers}
