"""Settings of the stage ``screen``."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator

from ..crystals.formulas import check_anonymous, check_composition, check_elements
from ..strict import Positive
from .base import StageSettings


class ScreenSettings(StageSettings):
    """Predict properties, test validity, uniqueness and novelty, and rank."""

    crystals: str = "crystals.h5"
    predictors: list[str] = ["cgcnn.safetensors"]
    """Property models; several for the same property are averaged and their spread is the uncertainty."""
    reference: str | None = None
    """What novelty is judged against: a training-set fingerprint or a dataset file; null: novelty is not judged."""
    elements: list[str] | None = None
    """Only these elements may occur; null: any."""
    composition: str | None = None
    """Only crystals of this composition, in any multiple of the formula; null: any."""
    anonymous_formula: str | None = None
    """Only crystals of this kind of formula, such as `ABC3`; null: any."""
    rank_by: str | None = "formation_energy_per_atom"
    """Predicted property to rank by; null: candidates are taken in the order in which they were made."""
    descending: bool = False
    top: Positive = 10
    """How many candidates to select; fewer are selected, and it is said, where fewer pass."""
    require: list[Literal["structure", "composition", "unique", "novel"]] = [
        "structure",
        "composition",
        "unique",
        "novel",
    ]
    """Tests that a candidate must pass to be selected."""
    table: str = "screening.csv"
    """The table to write, one row a crystal."""

    _elements = field_validator("elements")(check_elements)
    _composition = field_validator("composition")(check_composition)
    _anonymous = field_validator("anonymous_formula")(check_anonymous)
