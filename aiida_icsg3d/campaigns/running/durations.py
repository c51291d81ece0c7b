"""How long earlier jobs of a kind took in this profile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiida import orm
from aiida.orm.nodes.caching import NodeCaching

from ..graph import output

REMEMBERED = 5
"""How many earlier processes of a kind are looked at, the newest first."""
LOOKED_THROUGH = 50
"""Among how many of the newest with the right label those of the right kind are searched."""
ALIKE = 2.0
"""Sizes within this factor are alike; the time of the other is scaled by the size."""
LAST = ("retrieved", "results", "output_parameters")
"""Outputs that a job makes at its end."""


@dataclass(frozen=True)
class Kind:
    """What makes two processes comparable.

    :param label: process label.
    :param computer: label of the computer; None: any.
    :param size: how many samples, or crystals of the dataset; None: any.
    :param settings: settings, by dotted name, that must be equal.
    :param inputs: link label of an input -> its value, which must be equal.
    """

    label: str
    computer: str | None = None
    size: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)


def earlier_seconds(kind: Kind) -> list[float]:
    """Return how long the newest processes of a kind took, from their creation to their last output.

    Only what ended well and was computed counts: neither a job from the cache, nor a WorkChain with one.
    """
    found: list[float] = []
    for node in newest(kind.label):
        factor = scale(node, kind)
        if factor is None or from_cache(node):
            continue
        seconds = lasted(node)
        if seconds is not None:
            found.append(factor * seconds)
        if len(found) == REMEMBERED:
            break
    return found


def earlier_seconds_per_step(network: str, computer: str, batch_size: int, started: bool = False) -> list[float]:
    """Return how long a step took in the newest trainings of a network, with all that stands around the steps.

    :param computer: label; ``batch_size``: crystals a step, which must be equal.
    :param started: whether it starts from a model, whose shape it then has.
    """
    kind = Kind("TrainCalculation", computer, settings={"network": network, "optimiser.batch_size": batch_size})
    found: list[float] = []
    for node in newest(kind.label):
        results = output(node, "results")
        steps = results.get_dict().get("counts", {}).get("steps") if results is not None else None
        if not steps or scale(node, kind) is None or from_cache(node) or ("initial" in node.inputs) != started:
            continue
        if (seconds := lasted(node)) is not None:
            found.append(seconds / steps)
        if len(found) == REMEMBERED:
            break
    return found


def newest(label: str) -> Iterator[orm.ProcessNode]:
    """Yield the newest processes of a label that ended well."""
    filters = {"attributes.process_label": label, "attributes.exit_status": 0}
    query = orm.QueryBuilder().append(orm.ProcessNode, filters=filters, tag="process")
    yield from query.order_by({"process": {"id": "desc"}}).limit(LOOKED_THROUGH).all(flat=True)


def scale(node: orm.ProcessNode, kind: Kind) -> float | None:
    """Return by what to multiply the time of a process for it to stand for the kind; None: it is of another kind."""
    if kind.computer is not None and kind.computer not in computers_of(node):
        return None
    if kind.settings:
        settings = node.inputs.settings.get_dict() if "settings" in node.inputs else {}
        if any(lookup(settings, name) != value for name, value in kind.settings.items()):
            return None
    if any(input_value(node, label) != value for label, value in kind.inputs.items()):
        return None
    if kind.size is None:
        return 1.0
    size = size_of(node)
    if size is None or not 1 / ALIKE <= kind.size / size <= ALIKE:
        return None
    return kind.size / size


def computers_of(node: orm.ProcessNode) -> set[str]:
    """Return the labels of the computers that a job, or the jobs of a WorkChain, ran on."""
    jobs = [node] if isinstance(node, orm.CalcJobNode) else node.called_descendants
    return {job.computer.label for job in jobs if job.computer is not None}


def size_of(node: orm.ProcessNode) -> int | None:
    """Return how many samples a job had to do with, or crystals a training; None where it does not say."""
    if "dataset" in node.inputs:
        return int(node.inputs.dataset.n_crystals) or None
    results = output(node, "results")
    counts = results.get_dict().get("counts", {}) if results is not None else {}
    return int(counts.get("samples") or max(counts.values(), default=0)) or None


def input_value(node: orm.ProcessNode, label: str) -> Any:
    """Return the value of an input that is a number or a text, None where there is none."""
    triples = node.base.links.get_incoming(node_class=orm.Data, link_label_filter=label).all()
    return getattr(triples[0].node, "value", None) if triples else None


def lookup(content: Mapping[str, Any], name: str) -> Any:
    """Return the value of a dotted name, None where there is none."""
    value: Any = content
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def from_cache(node: orm.ProcessNode) -> bool:
    """Tell whether a process, or anything that it called, was taken from the cache."""
    return any(NodeCaching.CACHED_FROM_KEY in process.base.extras.all for process in (node, *node.called_descendants))


def lasted(node: orm.ProcessNode) -> float | None:
    """Return the seconds from the creation of a process to its end.

    The end is the last time at which it or what it called made one of :data:`LAST`, or the last change of the process
    where there is none: a label that is given later changes the process, too.
    """
    outputs = [output(process, label) for process in (node, *node.called_descendants) for label in LAST]
    made = [data.ctime for data in outputs if data is not None]
    seconds = (max(made, default=node.mtime) - node.ctime).total_seconds()
    return seconds if seconds > 0 else None
