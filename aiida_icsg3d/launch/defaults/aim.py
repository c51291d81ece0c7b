"""What a run aims at where nobody says: crystals that do not fall apart, as far as the models know what that is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from icsg3d_models.properties.meaning import meaning_of

GUIDANCE = 2.0
"""Strength of the aim: twice the conditional distribution, which leaves the models little else."""
UNAIMED_SHARE = 0.25
"""Share of the samples that aim at nothing, so that what the aim does can be seen in every run."""


class Aim(NamedTuple):
    """Where the samples are led.

    :param targets: property -> value; ``words``: what that is, for a person.
    """

    targets: dict[str, float]
    guidance: float
    unaimed: int
    words: str


def aim_at_stability(models: Mapping[str, Any], n_samples: int, guidance: float | None = None) -> Aim | None:
    """Return the aim of a run, None where the prior was told of no property whose value says what is stable.

    :param models: ``prior`` is looked at, by its card.
    :param guidance: what was asked for; None: :data:`GUIDANCE`.
    """
    strength = GUIDANCE if guidance is None else guidance
    prior = models.get("prior")
    if prior is None:
        return None
    for name in prior.config.get("targets", []):
        meaning = meaning_of(name, prior.card)
        if meaning.stable_at is not None:
            unaimed = int(n_samples * UNAIMED_SHARE)
            words = (
                f"aiming at stability: {meaning.label} {meaning.stable_at:g} {meaning.unit}, guidance {strength:g}; "
                f"the first {unaimed} samples aim at nothing, to compare (--no-aim: all)"
            )
            return Aim({name: meaning.stable_at}, strength, unaimed, words)
    return None
