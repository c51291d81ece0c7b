"""Parser of the stage ``sample``."""

from __future__ import annotations

from .base import StageParser


class SampleParser(StageParser):
    """Attach the results; the fields stay in the remote folder."""
