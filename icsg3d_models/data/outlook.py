"""What a dataset is too small or too odd for, said before anything is trained on it.

None of it can be said with certainty beforehand: at its end a training tries what it made.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..crystals.elements import SYMBOLS
from .datasets import PARTS, Dataset
from .outliers import far_off

FEW = 1000  # crystals of the training part; the smallest set that is shipped was trained on 3,408
RARE = 5  # crystals of the training part in which an element is seen

WITHOUT = {
    "train": "there is nothing to learn from",
    "validation": "the best weights are not told from others",
    "test": "the figures of the model cards are not of crystals held back",
}


def outlook(dataset: Dataset, properties: Iterable[str] | None = None) -> list[str]:
    """Return what may go wrong in a training on this dataset, a sentence each; nothing where nothing is odd.

    :param properties: which of them to learn; None: all that it has.
    """
    properties = list(dataset.properties if properties is None else properties)
    sizes = {part: int((dataset.split == place).sum()) for place, part in enumerate(PARTS)}
    said = [f"the {part} part is empty: {WITHOUT[part]}" for part, size in sizes.items() if not size]
    if not sizes["train"]:
        return said
    here = dataset.split == 0
    trained = dataset.crystals.take(np.flatnonzero(here))
    compositions = len(set(trained.formulas()))
    if sizes["train"] < FEW:
        said.append(f"{sizes['train']} crystals of {compositions} compositions to train on, where the shipped sets had "
                    "3,408 and more: whether new crystals are valid only the trial at the end tells")  # fmt: skip
    if compositions == 1:
        said.append(f"all training crystals are {trained.formulas()[0]}: nothing of another composition will be made")
    return said + of_elements(dataset) + [text for name in properties for text in of_property(dataset, name)]


def of_elements(dataset: Dataset) -> list[str]:
    """Return which elements training sees seldom, or never."""
    crystals = dataset.crystals
    pairs = np.unique(np.stack([crystals.numbers, crystals.owner]), axis=1)  # an element once a crystal
    numbers, owner = pairs
    seen = np.bincount(numbers[dataset.split[owner] == 0], minlength=numbers.max() + 1)
    present = np.unique(numbers).tolist()
    never = [SYMBOLS[z] for z in present if not seen[z]]
    rare = [f"{SYMBOLS[z]} {seen[z]}" for z in present if 0 < seen[z] < RARE]
    said = []
    if never:
        said.append(f"{', '.join(never)} is in no training crystal: crystals with it are passed over")
    if rare:
        said.append(f"{len(rare)} of {len(present)} elements are in fewer than {RARE} training crystals, and will "
                    f"hardly be told from others: {', '.join(rare[:10])}" + (", ..." if rare[10:] else ""))  # fmt: skip
    return said


def of_property(dataset: Dataset, name: str) -> list[str]:
    """Return what keeps a property from being learned."""
    values = dataset.properties[name]
    if far := far_off(values):
        first = ", ".join(f"{dataset.crystals.ids[i]} ({values[i]:g})" for i in far[:3])
        return [f"{name} is far off in {len(far)} crystals, and is refused as a target: {first}"]
    parts = {part: values[dataset.split == place] for place, part in enumerate(PARTS)}
    known = {part: column[np.isfinite(column)] for part, column in parts.items()}
    if len(known["train"]) < 2 or np.ptp(known["train"]) == 0:
        alike = ", all alike" if len(known["train"]) > 1 else ""
        return [f"{name} has {len(known['train'])} values in the training part{alike}: it cannot be learned"]
    if len(parts["validation"]) and not len(known["validation"]):
        return [f"{name} has no value in the validation part, and is refused as a target: prepare with another `seed`, "
                "a larger share of validation, or `required`"]  # fmt: skip
    return []
