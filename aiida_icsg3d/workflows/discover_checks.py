"""What is wrong with the inputs of a DiscoverWorkChain, said before it starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.orm import Dict

from icsg3d_models.screening.selection import check_shares

from ..dft.quantum_espresso import QuantumEspresso


def validate_selection(node: Dict, _: Any) -> str | None:
    """Refuse shares that cannot be meant."""
    try:
        check_shares(node.get_dict())
    except (TypeError, ValueError) as exception:
        return str(exception)
    return None


def validate_discovery(inputs: Mapping[str, Any], _ports: Any) -> str | None:
    """Return what is wrong with the inputs of a run together."""
    models = inputs.get("models", {})
    if "train" in inputs and models:
        return "both `train` and `models` are given; give the dataset to train on, or the models, not both"
    if "train" not in inputs:
        missing = [name for name in ("vae", "unet", "predictors") if not models.get(name)]
        if missing:
            return f"models.{', models.'.join(missing)} missing; give these models, or `train` to train them first"
    return validate_relaxations(inputs, _ports)


def validate_relaxations(inputs: Mapping[str, Any], _ports: Any) -> str | None:
    """Return what is wrong with what is to be relaxed."""
    count = inputs["n_relaxations"].value
    if count < 0:
        return f"n_relaxations is {count}; it must be 0 or more"
    if count and "validation" not in inputs:
        return f"n_relaxations is {count}, but the inputs of the DFT, `validation`, are not given; give them or set 0"
    settings = inputs.get("screen", {}).get("screen", {}).get("settings")
    top = settings.get_dict().get("top", 10) if settings is not None else 10
    if count > top:
        return f"n_relaxations is {count}, but only the {top} best are selected; raise `top` of the screening"
    return validate_phonons(inputs)


def validate_phonons(inputs: Mapping[str, Any]) -> str | None:
    """Return why there can be no phonons of what is relaxed."""
    count = inputs["n_phonons"].value if "n_phonons" in inputs else 0
    if count < 0:
        return f"n_phonons is {count}; it must be 0 or more"
    if count > inputs["n_relaxations"].value:
        return f"n_phonons is {count}, but only {inputs['n_relaxations'].value} are relaxed; raise n_relaxations"
    if count and (why := inputs["validation"]["engine"].value) != QuantumEspresso.name:
        return (
            f"n_phonons is {count}, but {why} relaxes, and phonons are of pw.x; they are settings of `prerelax` there"
        )
    if count and "hubbard" in inputs["validation"]:
        return f"n_phonons is {count}, but phonons with Hubbard terms are not done; set 0"
    return None
