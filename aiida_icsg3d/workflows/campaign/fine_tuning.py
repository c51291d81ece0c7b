"""Which figure of the DFT a property model predicts, and the column that it is fine-tuned on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from icsg3d_models.data.fidelity import MARK, quantity_of
from icsg3d_models.properties.meaning import meaning_of

from ...data import CrystalDatasetData, TrainedModelData
from .figures import FORMATION, HEIGHT

FITTED = ("cgcnn", "prior")
"""Networks that a campaign can fine-tune, in the order in which it does."""
PREDICTED_WORD = "predicted "  # before a property among the errors of a round
QUANTITY = {FORMATION: "formation_energy_per_atom", HEIGHT: "e_above_hull"}


def figure_of(target: str, model: TrainedModelData) -> str | None:
    """Return the figure of the DFT that a property of a model is a prediction of, None where it is none.

    A heat relative to competing phases is a height above a hull by another name.
    """
    quantity = quantity_of(target)
    if quantity == QUANTITY[HEIGHT] or meaning_of(target, model.card).stable_at is not None:
        return HEIGHT
    return FORMATION if quantity == QUANTITY[FORMATION] else None


def compared_with(predictors: Mapping[str, TrainedModelData]) -> dict[str, str]:
    """Return predicted property -> figure of the DFT, over all property models."""
    found = {}
    for model in predictors.values():
        for target in model.config.get("targets", []):
            if (figure := figure_of(target, model)) is not None:
                found[target] = figure
    return found


def target_of(settings: dict[str, Any], model: TrainedModelData, columns: Sequence[str]) -> dict[str, Any] | None:
    """Return the settings by which a model goes on with a column of the DFT, None where it predicts nothing of it.

    A model that has gone over to the column already just goes on; it is an error of nobody if there is none. Of several
    targets those are left out that the DFT says nothing of, such as a gap: it would go on predicting them untaught.

    :param columns: of the dataset, with their fidelities.
    """
    taken, targets = {}, model.config.get("targets", [])
    for target in targets:
        figure = figure_of(target, model)
        column = next((name for name in columns if figure and quantity_of(name) == QUANTITY[figure]), None)
        if column is not None:
            taken[target] = column
    if not taken:
        return None
    renamed = {target: column for target, column in taken.items() if column != target}
    some = {"targets": list(taken.values())} if len(taken) < len(targets) else {}
    return {**settings, **some, **({"targets_from": renamed} if renamed else {})}


def columns_added(dataset: CrystalDatasetData | None) -> list[str]:
    """Return the columns that the last round of a campaign wrote into its data, as the graph has them."""
    made_by = None if dataset is None else dataset.creator
    if made_by is None or "changes" not in made_by.outputs:
        return []
    return list(made_by.outputs.changes.get_dict()["fidelities"])


def has_seen(model: TrainedModelData, dataset: CrystalDatasetData) -> bool:
    """Tell whether a model was trained on just these data."""
    return bool(model.card.get("data", {}).get("content_hash") == dataset.content_hash)


def continues(rank_by: str | None, predictors: Mapping[str, TrainedModelData]) -> str | None:
    """Return the property to rank by where the one of the settings has been gone on from, None where it is still there.

    :param rank_by: of the settings of the screening; None: the default of the stage.
    """
    from icsg3d_models.settings import ScreenSettings

    wanted = rank_by or ScreenSettings.model_fields["rank_by"].default
    targets = [target for model in predictors.values() for target in model.config.get("targets", [])]
    if wanted in targets:
        return None
    continued = [target for target in targets if MARK in target]
    of_the_same = [target for target in continued if quantity_of(target) == quantity_of(wanted)]
    return next(iter([*of_the_same, *continued]), None)


def screening_models(
    rounds: Sequence[Mapping[str, Any]],
    begun_with: Mapping[str, TrainedModelData],
    fine_tuned: Mapping[str, TrainedModelData],
) -> tuple[dict[str, TrainedModelData], str]:
    """Return the property models to screen a round with, and what there is to say.

    A handful of verdicts may teach a model less than it forgets by them. A fine-tuned one that ranked candidates the
    wrong way round, the last time that it predicted three or more that DFT judged, gives way to the one it came from.
    It had not seen these: it is fine-tuned after a round.
    """
    known = {target for model in begun_with.values() for target in model.config.get("targets", [])}
    for one in reversed(rounds):
        for name, error in one["errors"].items():
            target = name.removeprefix(PREDICTED_WORD)
            if target == name or MARK not in target or target in known or "rank_correlation" not in error:
                continue
            if error["rank_correlation"] >= 0:
                return dict(fine_tuned), ""
            words = (
                f"the model of {target} ranked round {one['round']} the wrong way round (rank correlation "
                f"{error['rank_correlation']:.2f}); screened by the property models that the campaign began with"
            )
            return dict(begun_with), words
    return dict(fine_tuned), ""
