"""Is a crystal physically possible at all: finite numbers, a volume, atoms apart."""

from __future__ import annotations

import numpy as np

from ..column import Column
from ..criterion import Batch, Criterion, Finding

VALID = Column("structure_valid", "truth", "", "every distance above 0.5 Å, a volume of at least 0.1 Å³ (CDVAE)")


def judge(batch: Batch) -> Finding:
    """Test as CDVAE defines it, with the images of a site itself."""
    passed = np.array([problem is None for problem in batch.problems])
    return Finding(passed, batch.problems, {VALID.name: passed.tolist()})


STRUCTURE = Criterion("structure", "valid", (VALID,), judge)
