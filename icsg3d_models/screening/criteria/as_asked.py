"""Is a crystal what was asked for."""

from __future__ import annotations

import numpy as np

from ...conditions import unfulfilled
from ..column import Column
from ..criterion import Batch, Criterion, Finding

ASKED = Column("as_asked", "truth", "", "all that was asked for: elements, composition, ...; empty: nothing was")


def nothing_asked(batch: Batch) -> str | None:
    """Return what to give so that there is something to fulfil."""
    return None if batch.settings.asked else "nothing is asked for; give `elements`, `composition` or another condition"


def judge(batch: Batch) -> Finding:
    """Test all conditions of the settings."""
    reasons = unfulfilled(batch.crystals, batch.settings.asked)
    passed = np.array([words is None for words in reasons])
    return Finding(passed, reasons, {ASKED.name: passed.tolist()})


AS_ASKED = Criterion("as_asked", "as_asked", (ASKED,), judge, nothing_asked, always=True)
