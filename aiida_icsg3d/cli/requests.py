"""What was given on the command line as a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from icsg3d_models.conditions import BY_NAME

from .options import CODE_STAGES, NETWORKS, pairs

if TYPE_CHECKING:
    from ..launch import Generation, Training


def generation_of(given: dict[str, Any]) -> Generation:
    """Return the request that the values of :func:`.options.generation_options` make.

    :raises ValueError: as of :class:`aiida_icsg3d.launch.Generation`.
    """
    from ..launch import Generation

    rest = dict(given)
    asked = {name: rest.pop(name) for name in BY_NAME if name != "elements"}
    asked = {name: value for name, value in asked.items() if value is not None}
    codes = {stage: label for stage in CODE_STAGES if (label := rest.pop(f"code_{stage}"))}
    rest["targets"] = dict(rest["targets"])
    rest["base"] = rest["base"] or ()
    rest["hubbard"] = rest["hubbard"] or ()
    return Generation(asked=asked, stage_codes=codes, **rest)


def training_of(given: dict[str, Any]) -> Training:
    """Return the request that the values of :func:`.options.training_options` make.

    :raises ValueError: a property or unit that is not written as NAME=COLUMN.
    """
    from ..launch import Training

    rest = dict(given)
    rest["properties"] = pairs("--property", rest["properties"], "formation_energy_per_atom=heat_all")
    rest["units"] = pairs("--unit", rest["units"], "formation_energy_per_atom=eV/atom")
    epochs = {network: count for network in NETWORKS if (count := rest.pop(f"epochs_{network}"))}
    return Training(epochs=epochs, **rest)
