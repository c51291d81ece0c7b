"""Values as the AiiDA database takes them."""

from __future__ import annotations

import math
from typing import Any


def storable(value: Any) -> Any:
    """Return JSON-like content with NaN and infinities replaced by None, which the database refuses."""
    if isinstance(value, dict):
        return {str(key): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
