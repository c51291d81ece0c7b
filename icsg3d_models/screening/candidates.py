"""Everything the screening finds out about a batch of crystals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..properties.predict import Prediction


@dataclass(frozen=True)
class Candidates:
    """Tests and predictions of B crystals.

    :param formulas: B reduced formulas.
    :param allowed: (B,) bool, of the elements and the composition that are asked for.
    :param structure_valid, composition_valid, unique: (B,) bool.
    :param duplicate_of: B indices of the earlier crystal that is the same, None where there is none.
    :param novel, novel_composition: (B,) bool, None where there is nothing to compare with.
    :param prediction: properties, NaN where the structure is not valid or an element unknown.
    :param reasons: B reasons why a crystal is out, None where it passes everything.
    """

    formulas: list[str]
    allowed: np.ndarray
    structure_valid: np.ndarray
    composition_valid: np.ndarray
    unique: np.ndarray
    duplicate_of: list[int | None]
    novel: np.ndarray | None
    novel_composition: np.ndarray | None
    prediction: Prediction
    reasons: list[str | None]
