"""Settings of the stage ``segment``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from ..crystals.formulas import check_elements
from ..strict import Positive
from .seeds.presets import PresetSettings


class SegmentSettings(PresetSettings):
    """Segment fields into regions, one an atom, and name the species of every voxel."""

    stage = "segment"
    outputs = ("segments",)

    unet: str = "unet.safetensors"
    fields: str = "fields.h5"
    segments: str = "segments.h5"
    """The segment file to write."""
    elements: list[str] | None = None
    """Only these elements may be named; null: all that the model knows."""
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.35
    """Occupancy (1 at the centre of an atom) above which a voxel belongs to an atom; of `icsg3d-2020` the U-Net's
    probability that it does."""
    as_published_watershed: bool = False
    """Of `icsg3d-2020`: keep the faults of the published code, whose watershed loses the rims of what it cuts, and
    cuts the first component only, leaving of all others what an erosion leaves."""
    batch_size: Positive = 32

    _elements = field_validator("elements")(check_elements)
