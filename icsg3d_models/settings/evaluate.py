"""Settings of the stage ``evaluate``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, model_validator

from ..strict import Positive
from .base import StageSettings
from .conditions import ConditionSettings

Cutoff = Annotated[float, Field(gt=0, allow_inf_nan=False)]
OF_MODE = {
    "reconstruction": ("paired_by", "fingerprint_gate"),
    "generation": ("training", "samples", "predictors", "target", "unconditioned", "stability"),
}
"""Mode -> what has a use in it only."""


class EvaluateSettings(ConditionSettings, StageSettings):
    """Score crystals by the published metrics, beside what the reference set itself scores."""

    outputs = ("cache", "evaluation", "table", "details")

    mode: Literal["reconstruction", "generation"] = "generation"
    """`reconstruction`: each crystal against its true one; `generation`: the batch against the set."""
    paired_by: Literal["id", "order"] = "id"
    """Reconstruction: `id`: the true crystal has the same id; `order`: s000012 is the true crystal 12 of the part,
    counted from 0, which is how `icsg3d sample` numbers in mode `reconstruct`."""
    crystals: str = "crystals.h5"
    """What to score: a crystal file."""
    reference: str = "dataset.h5"
    """The true crystals: a dataset file or a crystal file."""
    part: Literal["train", "validation", "test", "all"] = "test"
    """Part of the reference, where it is a dataset file."""
    training: str | None = None
    """Known crystals, for novelty: a dataset file (its training part) or a crystal file; null: of `reference`."""
    samples: Positive | None = None
    """Samples asked for, so that those not rebuilt count as failures; null: as many as there are crystals."""
    cutoffs: Literal["perov_5", "carbon_24", "mp_20"] | tuple[Cutoff, Cutoff] = "perov_5"
    """Published cut-offs of COV, or two numbers: distance of structure and of composition prints."""
    fingerprint_gate: bool = True
    """Reconstruction: as published, what has no fingerprint is not valid; false saves that test, 60 ms a crystal."""
    property_samples: Positive = 1000
    """Valid samples, drawn at random, that enter the Wasserstein distances."""
    novelty_samples: Positive = 1000
    """Samples, drawn at random, that are compared for uniqueness and novelty."""
    predictors: list[str] = []
    """Property models, averaged, that the generator has not seen; empty: no property is judged."""
    predicted_property: str = "formation_energy_per_atom"
    """The property to take from the predictors."""
    target: FiniteFloat | None = None
    """Value of the property that was asked for. What else was are the conditions, as the crystals were sampled with."""
    unconditioned: str | None = None
    """Crystal file of samples of which nothing was asked; how well they fit what was asked stands beside."""
    stability: str | None = None
    """CSV with the column `id` and the column named next; null: S.U.N. is not judged."""
    stable_column: str = "stable"
    """Column of true and false; a crystal without a row counts as not stable."""
    cache: str | None = "fingerprints.h5"
    """File of structure fingerprints, read and added to; null: none."""
    evaluation: str = "evaluation.json"
    """All figures and what they depend on."""
    table: str = "evaluation.md"
    """The same as a table."""
    details: str = "evaluation.csv"
    """One row a crystal."""

    @model_validator(mode="after")
    def _fits_together(self) -> EvaluateSettings:
        for mode, names in OF_MODE.items():
            given = [f"`{name}`" for name in names if getattr(self, name) != type(self).model_fields[name].default]
            if given and self.mode != mode:
                words = f"{', '.join(given)} is for mode {mode!r}"
                raise ValueError(f"{words}, and has no use in mode {self.mode!r}: leave it out, or change the mode")
        if self.target is not None and not self.predictors:
            raise ValueError("`target` needs `predictors`, property models that say what was reached")
        if self.asked and self.mode != "generation":
            raise ValueError(f"{', '.join(self.asked)}: asked of new crystals, not in mode {self.mode!r}")
        if self.unconditioned is not None and self.target is None and not self.asked:
            raise ValueError("`unconditioned` is compared with what was asked for; give a `target` or a condition")
        return self
