"""What a run was asked for: chemical space, composition, targets, how many and from where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .graph import is_stage

if TYPE_CHECKING:
    from aiida.orm import ProcessNode

WISHES = (
    "mode", "n_samples", "elements", "composition", "anonymous_formula", "n_atoms", "crystal_system", "targets",
    "guidance", "spread", "seed",
)  # fmt: skip


def asked_for(node: ProcessNode) -> dict[str, Any]:
    """Return the settings of the sampling as the user gave them, in a fixed order; empty before it began."""
    for process in node.called_descendants:
        if is_stage(process, "sample"):
            settings: dict[str, Any] = process.inputs.settings.get_dict()
            return {name: settings[name] for name in WISHES if settings.get(name) is not None}
    return {}


def in_words(wishes: dict[str, Any]) -> str:
    """Return the wishes as one line of text."""

    def words(value: Any) -> str:
        if isinstance(value, dict):
            return ", ".join(f"{name} = {item}" for name, item in value.items())
        return " ".join(map(str, value)) if isinstance(value, list) else str(value)

    return " · ".join(f"{name.replace('_', ' ')} {words(value)}" for name, value in wishes.items())
