"""Is a crystal the first of its kind in the batch."""

from __future__ import annotations

import numpy as np

from ..column import Column
from ..criterion import Batch, Criterion, Finding

FIRST = Column("unique", "truth", "", "valid, and the same as no earlier crystal of the batch (StructureMatcher)")
DUPLICATE_OF = Column("duplicate_of", "text", "", "id of the earlier crystal that is the same")


def judge(batch: Batch) -> Finding:
    """Compare the crystals with each other."""
    from ..uniqueness import find_duplicates

    found = find_duplicates(
        batch.valid, batch.valid_formulas, batch.workers, lambda done: batch.progress(done, "uniqueness")
    )
    names = [None if other is None else batch.valid.ids[other] for other in found]
    passed = np.array(batch.spread([name is None for name in names], False))
    same = batch.spread(names)
    reasons = [None if name is None else f"the same as {name}" for name in same]
    return Finding(passed, reasons, {FIRST.name: passed.tolist(), DUPLICATE_OF.name: same})


UNIQUE = Criterion("unique", "unique", (FIRST, DUPLICATE_OF), judge)
