"""Properties of crystals by predictors that the generator has not seen."""

from __future__ import annotations

import numpy as np

from ..results import Report, StageError
from ..settings import EvaluateSettings
from .scoring import Described


def predicted_property(batch: Described, settings: EvaluateSettings, report: Report, name: str) -> np.ndarray:
    """Return the property of every crystal by the mean of the predictors, (B,), NaN for crystals not valid.

    A crystal with an element that the predictors do not know is left out, which the report and the table say.

    :param name: of the batch, for the report.
    :raises StageError: the predictors have no such property, or can predict none of the valid crystals.
    """
    from ..devices import select_device
    from ..properties.predict import predict_all

    device = select_device(settings, report)
    chosen = np.flatnonzero(batch.valid)
    crystals = batch.crystals.take(chosen)
    found = predict_all(crystals, [str(report.directory / path) for path in settings.predictors], device)
    wanted = settings.predicted_property
    if wanted not in found.values:
        known = ", ".join(found.values) or "none"
        raise StageError("input_incompatible", f"no predictor has the property {wanted!r}; they have {known}")
    unknown = {i: reason for i, reason in zip(crystals.ids, found.reasons, strict=True) if reason is not None}
    if unknown and len(unknown) == len(crystals):
        first, reason = next(iter(unknown.items()))
        raise StageError(
            "input_incompatible",
            f"{name}: not one of {len(crystals)} crystals can be predicted, first {first} ({reason}); "
            "give predictors that know these elements, or leave `predictors` out",
        )
    report.leave_out(f"{wanted} of {name}", len(crystals), unknown)
    values = np.full(len(batch.crystals), np.nan)
    values[chosen] = found.values[wanted]
    return values
