"""Can a composition be neutral, with electronegativities in order."""

from __future__ import annotations

import numpy as np

from ...crystals.validity import composition_valid
from ..column import Column
from ..criterion import Batch, Criterion, Finding

VALID = Column("composition_valid", "truth", "", "neutral with electronegativities in order, or an alloy (SMACT)")
REASON = "composition not neutral, or electronegativities out of order (SMACT)"


def judge(batch: Batch) -> Finding:
    """Test every composition by SMACT."""
    passed = np.array([bool(formula) and composition_valid(formula) for formula in batch.formulas])
    return Finding(passed, [None if ok else REASON for ok in passed], {VALID.name: passed.tolist()})


COMPOSITION = Criterion("composition", "valid", (VALID,), judge)
