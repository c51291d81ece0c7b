"""Is everything there that a run needs? Each finding says what was looked at, what is wrong, and what to do."""

from .examine import examine
from .finding import Finding

__all__ = ("Finding", "examine")
