"""Settings of the stage ``screen``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ..strict import Positive
from .conditions import ConditionSettings
from .seeds.presets import PresetSettings


class ScreenSettings(ConditionSettings, PresetSettings):
    """Predict properties, test crystals by one criterion after another, and rank those who pass."""

    stage = "screen"
    outputs = ("table",)

    crystals: str = "crystals.h5"
    predictors: list[str] = ["cgcnn.safetensors"]
    """Property models; several for the same property are averaged and their spread is the uncertainty."""
    reference: str | None = None
    """What novelty is judged against: a training-set fingerprint or a dataset file; null: the fingerprint beside the
    first predictor, and where there is none novelty is not judged."""
    base: str | None = None
    """Crystal file of the crystals that were sampled around; they are not novel either."""
    found: str | None = None
    """Crystal file of what earlier rounds of a campaign have tried; that is not novel either."""
    known_formulas: str | None = None
    """Text file of known compounds, one formula a line; null: those of the Materials Project, in the
    table of the package."""
    rank_by: str | None = "formation_energy_per_atom"
    """Predicted property to rank by; null: candidates are taken in the order in which they were made."""
    descending: bool = False
    top: Positive = 10
    """How many candidates to select; fewer are selected, and it is said, where fewer pass."""
    require: list[
        Literal[
            "structure",
            "composition",
            "charge_balance",
            "distance",
            "volume",
            "unique",
            "novel",
            "unknown",
            "trained_on",
        ]
    ] = ["structure", "composition", "unique", "novel"]
    """Tests that a candidate must pass to be selected: a possible structure; a neutral composition; atoms not closer
    than `min_distance_ratio`; a volume within `volume_per_atom`; the first of its kind; not in the training data; no
    compound of `known_formulas`; of the chemistry that the property models were trained on; charges that can balance,
    as ICSG3D has it, judged only where it is named. What is asked for must be fulfilled in any case. All others are
    judged and in the table, as far as what they need is given."""
    min_distance_ratio: Annotated[float, Field(gt=0)] = 0.6
    """Smallest distance of two atoms, in units of the sum of their covalent radii."""
    volume_per_atom: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (4.0, 80.0)
    """Least and most volume per atom in Å³."""
    table: str = "screening.csv"
    """The table to write, one row a crystal."""

    @model_validator(mode="after")
    def _window_is_open(self) -> ScreenSettings:
        least, most = self.volume_per_atom
        if least >= most:
            raise ValueError(f"`volume_per_atom` {least:g} to {most:g}: the first must be the smaller")
        return self
