"""Settings of the stage ``predict``."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from ..crystals.formulas import amounts_of, check_composition
from ..strict import Positive
from .base import StageSettings
from .conditions import ConditionSettings
from .relax import Potential


class PredictSettings(ConditionSettings, StageSettings):
    """Predict the crystal structures of a composition: sample, keep the composition, group equal crystals, rank."""

    outputs = ("crystals", "table")

    composition: Annotated[str, AfterValidator(check_composition)]
    """Formula whose structures are predicted, such as `CaTiO3` or `C8`."""
    most_atoms: Positive | None = None
    """Cells of every multiple of the formula up to so many atoms are tried: C up to 8 means C, C2, ... C8. Null: the
    cell that is written, or `n_atoms`."""
    n_samples: Positive = 20
    """How many for each size of the cell."""
    guidance: Annotated[float, Field(ge=0)] = 2.0
    """Strength of the conditions; 1 samples the conditional distribution, more exaggerates it."""
    vae: str = "vae.safetensors"
    unet: str = "unet.safetensors"
    prior: str = "prior.safetensors"
    potential: Potential | None = None
    """Relaxes all crystals, which are then ranked by their energy; null: ranked by how many samples came to a crystal,
    and then by how sure the U-Net is of its elements."""
    relax: bool = True
    """False: the potential relaxes none, which takes seconds in place of minutes. The energies of the crystals as they
    are drawn then count together with how many samples came to each (`potential` only)."""
    fmax: Annotated[float, Field(gt=0)] = 0.05
    """eV/Å, at which a relaxation ends (`potential` only)."""
    batch_size: Positive = 256
    crystals: str = "predicted.h5"
    """The crystal file to write, the best first."""
    table: str = "predicted.csv"
    """The same as a table, with a CIF in each row."""

    @model_validator(mode="after")
    def _of_a_composition(self) -> PredictSettings:
        if self.most_atoms is not None:
            if "n_atoms" in self.asked:
                raise ValueError("`most_atoms` and `n_atoms` are both given; give all sizes of the cell, or one")
            if self.most_atoms < self.smallest:
                raise ValueError(f"`most_atoms` {self.most_atoms}: {self.composition} has {self.smallest} at least")
        return self

    @property
    def smallest(self) -> int:
        """Atoms in one formula unit."""
        amounts = [int(amount) for amount in amounts_of(self.composition).values()]
        return sum(amounts) // math.gcd(*amounts)

    @property
    def sizes(self) -> list[int]:
        """Atoms in the cells that are tried."""
        if self.most_atoms is not None:
            return list(range(self.smallest, self.most_atoms + 1, self.smallest))
        return [self.asked.get("n_atoms") or int(sum(amounts_of(self.composition).values()))]
