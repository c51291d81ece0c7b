"""Properties of crystals by predictors that the generator has not seen."""

from __future__ import annotations

import numpy as np

from ..results import Report, StageError
from ..settings import EvaluateSettings
from .scoring import Described


def predicted_property(batch: Described, settings: EvaluateSettings, report: Report) -> np.ndarray:
    """Return the property of every crystal by the mean of the predictors, (B,), NaN for crystals not valid.

    :raises StageError: the predictors have no such property, or do not know an element of a valid crystal;
        leaving such crystals out would flatter the figures.
    """
    from ..devices import select_device
    from ..properties.predict import predict_all

    device = select_device(settings, report)
    chosen = np.flatnonzero(batch.valid)
    crystals = batch.crystals.take(chosen)
    found = predict_all(crystals, [str(report.directory / path) for path in settings.predictors], device)
    name = settings.predicted_property
    if name not in found.values:
        known = ", ".join(found.values) or "none"
        raise StageError("input_incompatible", f"no predictor has the property {name!r}; they have {known}")
    unknown = [(crystals.ids[i], reason) for i, reason in enumerate(found.reasons) if reason is not None]
    if unknown:
        raise StageError(
            "input_incompatible",
            f"{len(unknown)} of {len(crystals)} crystals cannot be predicted, first {unknown[0][0]} ({unknown[0][1]}); "
            "give predictors that know these elements, or leave `predictors` out",
        )
    values = np.full(len(batch.crystals), np.nan)
    values[chosen] = found.values[name]
    return values
