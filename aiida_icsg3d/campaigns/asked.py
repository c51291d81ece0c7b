"""What a run was asked for: chemical space, composition, targets, how many and from where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from icsg3d_models.conditions import BY_NAME, fulfilled
from icsg3d_models.crystals.batch import Crystals

from .candidate import PREDICTED, Candidate
from .graph import inputs_of, is_stage

if TYPE_CHECKING:
    from aiida.orm import ProcessNode
    from pymatgen.core import Structure

# The settings that say what was asked for, in the order of reports.
SETTINGS = ("mode", "n_samples", *BY_NAME, "targets", "guidance", "spread", "seed")


def asked_for(node: ProcessNode) -> dict[str, Any]:
    """Return the settings of the sampling as the user gave them, in a fixed order; empty before it began."""
    for process in node.called_descendants:
        if is_stage(process, "sample"):
            settings: dict[str, Any] = inputs_of(process, "sample").settings.get_dict()
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


class Delivered(NamedTuple):
    """One thing that was asked for, and what became of it among the crystals that were looked at."""

    label: str
    asked: str
    delivered: str
    kept: bool | None


def delivered(asked: dict[str, Any], crystals: Sequence[tuple[Candidate, Structure]]) -> list[Delivered]:
    """Return what was asked beside what was delivered, judged on the crystals themselves by the list of conditions.

    :param asked: from :func:`asked_for`.
    :param crystals: the candidates to look at, with their generated crystals.
    """
    found = []
    total = len(crystals)
    conditions = {name: value for name, value in asked.items() if name in BY_NAME}
    if conditions and total:
        batch = Crystals.from_structures([s for _, s in crystals], [c.id for c, _ in crystals])
        for name, right in fulfilled(batch, conditions).items():
            condition, count = BY_NAME[name], int(right.sum())
            words = condition.words(condition.read(conditions[name]))
            found.append(Delivered(condition.label, words, f"{count} of {total}", count == total))
    for name, target in (asked.get("targets") or {}).items():
        values = [c.row[PREDICTED + name] for c, _ in crystals if isinstance(c.row.get(PREDICTED + name), (int, float))]
        label = f"predicted {name.replace('_', ' ')}"
        if values:
            words = f"{min(values):.2f} to {max(values):.2f}, off by {mean_of(abs(v - target) for v in values):.2f}"
            found.append(Delivered(label, f"{target:g}", words, None))
        else:
            found.append(Delivered(label, f"{target:g}", "not predicted, so not judged", None))
    return found


def mean_of(values: Any) -> float:
    """Return the mean of at least one number."""
    numbers = list(values)
    return float(sum(numbers) / len(numbers))


def aim_in_words(aim: dict[str, Any] | None) -> list[str]:
    """Return, for each target, how the samples that aimed at it stand beside those that did not; [] without an aim.

    :param aim: of the summary of a run.
    """
    if aim is None:
        return []
    words = []
    for target, value in aim["targets"].items():
        parts = []
        for group in ("aimed", "unaimed"):
            middle, figures = aim[group].get(f"median_predicted_{target}"), aim[group]
            predicted = "no prediction" if middle is None else f"median prediction {middle:+.2f}"
            parts.append(f"{figures['samples']} {group} samples: {predicted}, {figures['unique']} different crystals, "
                         f"{figures['selected']} selected")  # fmt: skip
        words.append(f"aim {target} {value:g}; {'; '.join(parts)}")
    return words
