"""Is a crystal what was asked for."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...conditions import BY_NAME, unfulfilled
from ...settings import ScreenSettings
from ..column import Column
from ..criterion import Batch, Criterion, Finding

ASKED = Column("as_asked", "truth", "", "all that was asked for: elements, composition, ...; empty: nothing was")


def wishes(settings: ScreenSettings) -> dict[str, Any]:
    """Return all conditions that are asked for, by name."""
    given = ((name, getattr(settings, name, None)) for name in BY_NAME)
    return {name: value for name, value in given if value is not None}


def nothing_asked(batch: Batch) -> str | None:
    """Return what to give so that there is something to fulfil."""
    return None if wishes(batch.settings) else "nothing is asked for; give `elements`, `composition` or another wish"


def judge(batch: Batch) -> Finding:
    """Test all wishes of the settings."""
    reasons = unfulfilled(batch.crystals, wishes(batch.settings))
    passed = np.array([words is None for words in reasons])
    return Finding(passed, reasons, {ASKED.name: passed.tolist()})


AS_ASKED = Criterion("as_asked", "as_asked", (ASKED,), judge, nothing_asked, always=True)
