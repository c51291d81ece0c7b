"""Settings of the stage ``chain``: those of the stages that it runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import model_validator

from ..base import StageSettings
from ..rebuild import RebuildSettings
from ..sample import SampleSettings
from ..screen import ScreenSettings
from ..segment import SegmentSettings
from .joints import CHAINED, joined


class ChainSettings(StageSettings):
    """Sample, segment, rebuild and screen one after another, in one process and one folder.

    Every stage leaves its own `results_STAGE.json`. Begun again in the same folder, the chain goes on after the stages
    that are done. `seed`, `device` and `threads` hold for every stage that has none of its own.
    """

    sample: SampleSettings = SampleSettings()
    segment: SegmentSettings = SegmentSettings()
    rebuild: RebuildSettings = RebuildSettings()
    screen: ScreenSettings = ScreenSettings()
    last: Literal["rebuild", "screen"] = "screen"
    """The last stage; `rebuild` screens nothing."""
    resume_from: str | None = None
    """Folder of an earlier try, whose stages that are done are taken over; what is not there is done again."""

    @model_validator(mode="before")
    @classmethod
    def _joined(cls, content: Any) -> Any:
        plain = isinstance(content, dict) and all(isinstance(content.get(name) or {}, dict) for name in CHAINED)
        return joined(content) if plain else content  # else pydantic says what is wrong with it

    @property
    def stages(self) -> Iterator[tuple[str, StageSettings]]:
        """The stages that run, with their settings, in their order."""
        for name in CHAINED:
            yield name, getattr(self, name)
            if name == self.last:
                return
