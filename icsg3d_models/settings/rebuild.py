"""Settings of the stage ``rebuild``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ..strict import Positive
from .base import StageSettings


class RebuildSettings(StageSettings):
    """Turn fields and their segments into crystals with sub-voxel sites."""

    outputs = ("crystals",)

    fields: str = "fields.h5"
    segments: str = "segments.h5"
    crystals: str = "crystals.h5"
    """The crystal file to write."""
    max_sites: Positive = 200
    min_distance: Annotated[float, Field(gt=0)] = 0.5
    """Å; two sites closer than this are reported and the sample is not rebuilt."""
    symmetry_tolerance: Annotated[float, Field(gt=0)] | None = None
    """Å; idealise to the symmetry found within this tolerance, in the primitive cell; null changes nothing."""
    batch_size: Positive = 256
