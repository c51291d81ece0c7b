"""What holds the stages of a chain together: their order, and the files that one hands to the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..base import StageSettings
from ..rebuild import RebuildSettings
from ..sample import SampleSettings
from ..screen import ScreenSettings
from ..segment import SegmentSettings

CHAINED: dict[str, type[StageSettings]] = {
    "sample": SampleSettings,
    "segment": SegmentSettings,
    "rebuild": RebuildSettings,
    "screen": ScreenSettings,
}
"""Stage -> its settings, in the order in which they run."""
JOINTS = {
    ("segment", "fields"): ("sample", "fields"),
    ("rebuild", "fields"): ("sample", "fields"),
    ("rebuild", "segments"): ("segment", "segments"),
    ("screen", "crystals"): ("rebuild", "crystals"),
}
"""Stage and its setting that reads a file -> stage and its setting that wrote it."""
SHARED = ("seed", "device", "threads")
"""Settings of the chain that hold for every stage which has none of its own."""


def joined(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a chain with the files that stages hand on, and what holds for all of them, filled in.

    :raises ValueError: a stage is to read another file than the stage before writes.
    """
    stages = {name: dict(content.get(name) or {}) for name in CHAINED}
    for name in stages:
        stages[name] = {**{key: content[key] for key in SHARED if key in content}, **stages[name]}
    for (reader, setting), (writer, written) in JOINTS.items():
        file = stages[writer].get(written, CHAINED[writer].model_fields[written].default)
        given = stages[reader].setdefault(setting, file)
        if given != file:
            raise ValueError(
                f"`{reader}.{setting}` is {given!r}, but {writer} writes {file!r}; leave `{reader}.{setting}` out"
            )
    return {**content, **stages}
