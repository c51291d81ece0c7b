"""What a run was asked for: chemical space, composition, targets, how many and from where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from icsg3d_models.conditions import BY_NAME

from .graph import is_stage

if TYPE_CHECKING:
    from aiida.orm import ProcessNode

# The settings that say what was asked for, in the order of reports.
SETTINGS = ("mode", "n_samples", *BY_NAME, "targets", "guidance", "spread", "seed")


def asked_for(node: ProcessNode) -> dict[str, Any]:
    """Return the settings of the sampling as the user gave them, in a fixed order; empty before it began."""
    for process in node.called_descendants:
        if is_stage(process, "sample"):
            settings: dict[str, Any] = process.inputs.settings.get_dict()
            return {name: settings[name] for name in SETTINGS if settings.get(name) is not None}
    return {}


def in_words(asked: dict[str, Any]) -> str:
    """Return what was asked for as one line of text."""

    def words(value: Any) -> str:
        if isinstance(value, dict):
            return ", ".join(f"{name} = {item}" for name, item in value.items())
        return " ".join(map(str, value)) if isinstance(value, list) else str(value)

    labels = {name: condition.label for name, condition in BY_NAME.items()}
    return " · ".join(f"{labels.get(name, name.replace('_', ' '))} {words(value)}" for name, value in asked.items())
