"""Can a composition be neutral, with electronegativities in order."""

from __future__ import annotations

import numpy as np

from ...crystals.validity import composition_valid
from ..column import Column
from ..criterion import Batch, Criterion, Finding

VALID = Column("composition_valid", "truth", "", "neutral with electronegativities in order, or an alloy (SMACT)")
SMALL = 2000  # formulas; so many are done before another process has started
REASON = "composition not neutral, or electronegativities out of order (SMACT)"


def judge(batch: Batch) -> Finding:
    """Test every composition by SMACT."""
    different = sorted(set(batch.formulas) - {""})
    verdicts = batch.workers.map(composition_valid, different, chunk=64, least=SMALL)
    valid = dict(zip(different, verdicts, strict=True))
    passed = np.array([valid.get(formula, False) for formula in batch.formulas])
    return Finding(passed, [None if ok else REASON for ok in passed], {VALID.name: passed.tolist()})


COMPOSITION = Criterion("composition", "valid", (VALID,), judge)
