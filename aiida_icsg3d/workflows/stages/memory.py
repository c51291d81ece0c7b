"""Settings with which a stage takes less memory, with the same crystals in the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.orm import Dict

from icsg3d_models.settings import StageSettings

FACTOR = 2


def smaller_settings(model: type[StageSettings], settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return settings with half the batch, or one process where there are no batches; None: it is one already.

    :param model: settings of the stage, whose default counts where nothing is given.
    :param settings: as given by the user.
    """
    if "batch_size" in model.model_fields:
        size = int(settings.get("batch_size", model.model_fields["batch_size"].default))
        return {**settings, "batch_size": size // FACTOR} if size > 1 else None
    return {**settings, "threads": 1} if settings.get("threads") != 1 else None


def lessen(inputs: Any, model: type[StageSettings]) -> str:
    """Set, in the inputs of a job, settings that take less memory; return which, empty where there are none.

    :param inputs: with ``settings``, which are replaced.
    """
    before = inputs.settings.get_dict()
    after = smaller_settings(model, before)
    if after is None:
        return ""
    inputs.settings = Dict(after)
    return ", ".join(f"{key} {value}" for key, value in after.items() if before.get(key) != value)
