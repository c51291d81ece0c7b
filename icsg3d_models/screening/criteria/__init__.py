"""The criteria of the screening: one list that screening, funnel, table and report loop over.

A new one is a file here, its line in the list, and its name in ``require`` with its thresholds in the settings.
The order is that of the funnel and of the reasons; those of one stage stand together.
"""

from __future__ import annotations

from ..criterion import Criterion
from .as_asked import AS_ASKED
from .charge_balance import CHARGE_BALANCE
from .composition import COMPOSITION
from .distance import DISTANCE
from .novel import NOVEL
from .structure import STRUCTURE
from .trained_on import TRAINED_ON
from .unique import UNIQUE
from .unknown import UNKNOWN
from .volume import VOLUME

CRITERIA: tuple[Criterion, ...] = (
    STRUCTURE, COMPOSITION, CHARGE_BALANCE, AS_ASKED, DISTANCE, VOLUME, UNIQUE, NOVEL, UNKNOWN, TRAINED_ON,
)  # fmt: skip
