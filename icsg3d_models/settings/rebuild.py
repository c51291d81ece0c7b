"""Settings of the stage ``rebuild``."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from ..crystals.formulas import amounts_of, check_composition
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
    composition: str | None = None
    """Formula of one cell, such as `CaTiO3`, `C8`: the strongest peaks become these atoms, by the best assignment, and
    a sample with fewer peaks is not rebuilt; null: every peak is an atom of its likeliest element."""
    drawn_contents: bool = True
    """Without `composition`: samples for which the prior drew what the cell holds get these atoms so, where
    their field shows them; else each peak is an atom of its likeliest element."""
    n_atoms: Positive | None = None
    """Atoms in the cell, with `composition`: its ratios, and so many atoms; null: as many as it has."""
    least_probability: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Of the element of every site, by the U-Net, with `composition`: a sample in which one has less is of another
    composition, and not rebuilt; 0 takes the best assignment whatever it is."""
    min_distance: Annotated[float, Field(gt=0)] = 0.5
    """Å; two sites closer than this are reported and the sample is not rebuilt."""
    symmetry_tolerance: Annotated[float, Field(gt=0)] | None = None
    """Å; idealise to the symmetry found within this tolerance, in the primitive cell; null changes nothing."""
    batch_size: Positive = 256

    _composition = field_validator("composition")(check_composition)

    @model_validator(mode="after")
    def _whole_cells(self) -> RebuildSettings:
        if self.n_atoms is not None and self.composition is not None:
            amounts = [int(amount) for amount in amounts_of(self.composition).values()]
            smallest = sum(amounts) // math.gcd(*amounts)
            if self.n_atoms % smallest:
                raise ValueError(f"`n_atoms` {self.n_atoms}: cells of {self.composition} hold a multiple of {smallest}")
        return self
