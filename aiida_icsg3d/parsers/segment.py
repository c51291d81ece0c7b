"""Parser of the stage ``segment``."""

from __future__ import annotations

from .base import StageParser


class SegmentParser(StageParser):
    """Attach the results; the segments stay in the remote folder."""
