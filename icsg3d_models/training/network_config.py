"""Configurations of networks from the options that were given and what the data decide."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel

from ..results import StageError
from ..settings import TrainSettings
from ..settings.base import NetworkOptions
from ..settings.network_options import read_options

ConfigT = TypeVar("ConfigT", bound=BaseModel)


def network_options(settings: TrainSettings, local: bool | None = None) -> NetworkOptions:
    """Return the options of the network that is trained.

    :param local: whether the network before it has a `spacing`; None: it does not matter.
    :raises StageError: options of the other kind.
    """
    try:
        given = settings.options.model_dump(exclude_unset=True)
        return read_options(settings.network, given, local, settings.preset)
    except ValueError as exception:
        raise StageError("settings_rejected", f"options: {exception}") from None


def network_config(kind: type[ConfigT], options: NetworkOptions, **fixed: Any) -> ConfigT:
    """Return the configuration of a network: the options that are parts of it, and what the data decide."""
    given = {name: value for name, value in options.model_dump().items() if name in kind.model_fields}
    return kind(**given, **fixed)
