"""What the trainings of all latent priors share: the conditions they are told of, and what one to start from keeps."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...conditions import BY_NAME
from ...conditions.space import blocks_of
from ...conditions.target import target_name
from ...data.datasets import Dataset
from ...networks.generator import known_of
from ...networks.model_file import file_hash
from ...results import StageError
from ...settings import TrainSettings
from ..start import check_fitted, check_kept


def conditions_of(
    settings: TrainSettings, dataset: Dataset, elements: list[int], usual: tuple[str, ...]
) -> dict[str, Any]:
    """Return what the configuration of a prior says of its conditions and targets.

    :param usual: conditions where the settings name none.
    :raises StageError: a name that is no condition.
    """
    names = list(usual) if settings.conditions is None else settings.conditions
    if unknown := [name for name in names if name not in BY_NAME]:
        raise StageError(
            "settings_rejected", f"`conditions`: {', '.join(unknown)} is none; there are {', '.join(BY_NAME)}"
        )
    train = dataset.part("train")
    columns = [dataset.values(name)[train] for name in settings.targets]
    mean = [float(np.nanmean(column)) for column in columns]
    std = [float(np.nanstd(column)) or 1.0 for column in columns]
    known = known_of(elements, settings.targets, mean, std)
    blocks = blocks_of([*names, *map(target_name, settings.targets)], known)
    return {
        "targets": settings.targets,
        "target_mean": mean,
        "target_std": std,
        "conditions": [block.model_dump() for block in blocks],
    }


def kept_config(start: Any, settings: TrainSettings) -> Any:
    """Return the configuration of a prior to start from, upon the VAE of the settings.

    :raises StageError: other targets or conditions are asked for, or the VAE is none of its own.
    """
    config = start.config
    aims = [target_name(name) for name in config.targets]
    if settings.grow:
        check_fitted(config, str(settings.vae))
        return config.model_copy(update={"vae_sha256": file_hash(str(settings.vae))})
    check_kept("targets", settings.targets, config.targets)
    check_kept("conditions", settings.conditions, [b.name for b in config.conditions if b.name not in aims])
    check_fitted(config, str(settings.vae))
    return config.model_copy(update={"vae_sha256": file_hash(str(settings.vae))})


def values_of(targets: list[str], dataset: Dataset) -> dict[str, np.ndarray]:
    """Return the targets of all crystals, (B,) each, NaN where not known.

    A prior to start from may know a target that the new data lack: then it is told nothing of it, as it is at times of
    every target.
    """
    unknown = np.full(len(dataset), np.nan)
    return {name: dataset.properties.get(name, unknown) for name in targets}
