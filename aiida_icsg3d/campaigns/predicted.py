"""What the predictions of a run mean, told by the models that made them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from icsg3d_models.properties.meaning import Meaning, meaning_of

from .graph import is_stage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiida.orm import ProcessNode

PREDICTORS = "predictors__"


def meanings(node: ProcessNode, properties: Iterable[str]) -> dict[str, Meaning]:
    """Return property -> what it means; a property of which no model in the graph tells gets no source."""
    cards: list[tuple[Any, dict[str, Any]]] = []
    for process in node.called_descendants:
        if is_stage(process, "screen"):
            for link in process.base.links.get_incoming().all():
                if link.link_label.removeprefix("screen__").startswith(PREDICTORS):
                    cards.append((link.node.config.get("targets"), link.node.card))
    found = {}
    for name in properties:
        card: dict[str, Any] = next((card for targets, card in cards if targets is None or name in targets), {})
        found[name] = meaning_of(name, card)
    return found
