"""Is a crystal of the chemistry that the property models were trained on, or is its prediction a guess."""

from __future__ import annotations

import numpy as np

from ..column import Column
from ..criterion import Batch, Criterion, Finding

TRAINED = Column(
    "in_chemistry", "truth", "", "of the elements, kinds of formula and cell sizes of the models' training"
)


def nothing_recorded(batch: Batch) -> str | None:
    """Return what to give so that the training is known."""
    if batch.sources.chemistries:
        return None
    return (
        "it is not known what the property models were trained on; keep the fingerprint of their training set beside "
        "them, or take `trained_on` out of `require`"
    )


def judge(batch: Batch) -> Finding:
    """Compare what each crystal is made of with the training of every property model."""
    words: list[str | None] = [None] * len(batch)
    for name, chemistry in batch.sources.chemistries.items():
        for index, problem in enumerate(chemistry.problems(batch.crystals)):
            if words[index] is None and problem is not None:
                words[index] = f"the prediction of {name} is an extrapolation: {problem}"
    passed = np.array([problem is None for problem in words])
    return Finding(passed, words, {TRAINED.name: passed.tolist()})


TRAINED_ON = Criterion("trained_on", "trained_on", (TRAINED,), judge, nothing_recorded)
