"""Is a crystal not among those known here: the training data, what was sampled around, what earlier rounds tried.

Novel says nothing of the world: PbTiO3 is novel to a model that was not trained on it. See the criterion `unknown`.
"""

from __future__ import annotations

import numpy as np

from ..column import Column
from ..criterion import Batch, Criterion, Finding

NEW = Column(
    "novel", "truth", "", "valid, and not in the training data, nor a base crystal, nor tried by an earlier round"
)
NEW_COMPOSITION = Column("novel_composition", "truth", "", "valid, of a composition that is in none of them")


def nothing_known(batch: Batch) -> str | None:
    """Return what to give so that there is something to compare with."""
    if batch.sources.references:
        return None
    return (
        "there is nothing to compare with; give `reference` a fingerprint (fingerprint.h5, written beside a property "
        "model) or a dataset file, or take `novel` out of `require`"
    )


def judge(batch: Batch) -> Finding:
    """Compare with the reference, and with the base crystals where there are any."""
    from ..novelty import judge_novelty

    count = len(batch.sound)
    known_by: list[str | None] = [None] * count
    fresh = np.ones(count, dtype=bool)
    for reference in batch.sources.references:
        found = judge_novelty(
            batch.valid, batch.valid_formulas, reference, batch.workers, lambda done: batch.progress(done, "novelty")
        )
        fresh &= np.array(found.composition, dtype=bool)
        for index, new in enumerate(found.crystal):
            if not new and known_by[index] is None:
                known_by[index] = reference.says
    passed = np.array(batch.spread([words is None for words in known_by], False))
    cells = {NEW.name: passed.tolist(), NEW_COMPOSITION.name: batch.spread(fresh.tolist(), False)}
    return Finding(passed, batch.spread(known_by), cells)


NOVEL = Criterion("novel", "novel", (NEW, NEW_COMPOSITION), judge, nothing_known)
