"""Properties of crystals by trained models, with uncertainties, and the reason where there is no prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..crystals import Crystals
from ..elements import SYMBOLS
from ..graph_batches import GraphStore
from ..modelfile import ModelFileError, load_weights, read_header
from ..networks.cgcnn import CGCNN, CGCNNConfig

_CRYSTALS_AT_ONCE = 2000


@dataclass(frozen=True)
class Prediction:
    """Predictions for B crystals.

    :param values: property -> (B,), NaN where there is none.
    :param uncertainty: property -> (B,), one standard deviation in the unit of the property; NaN where unknown.
    :param reasons: B reasons why there is no prediction, None where there is one.
    """

    values: dict[str, np.ndarray]
    uncertainty: dict[str, np.ndarray]
    reasons: list[str | None]


def load_cgcnn(path: str | Path, device: torch.device | str = "cpu") -> CGCNN:
    """Return the network of a model file, ready to predict.

    :raises ModelFileError: not a model file of a cgcnn, or weights that do not fit its configuration.
    """
    header = read_header(path, "cgcnn")
    try:
        module = CGCNN(CGCNNConfig(**header.config))
        module.load_state_dict(load_weights(path))
    except ModelFileError:
        raise
    except (RuntimeError, ValueError, TypeError) as exception:
        reason = " ".join(str(exception).split())[:200]
        raise ModelFileError(
            f"{path}: configuration and weights do not fit this release ({reason}); train again"
        ) from None
    return module.eval().to(device)


def predict(crystals: Crystals, model_path: str | Path, device: torch.device | str = "cpu") -> Prediction:
    """Predict the properties of a batch of crystals with valid structures by one model."""
    module = load_cgcnn(model_path, device)
    known = np.zeros(len(SYMBOLS), dtype=bool)
    known[module.config.elements] = True
    reasons: list[str | None] = []
    for index in range(len(crystals)):
        foreign = sorted({int(z) for z in crystals.sites(index)[1] if not known[z]})
        names = ", ".join(SYMBOLS[z] for z in foreign)
        reasons.append(f"{names}: not among the elements that {Path(model_path).name} knows" if foreign else None)
    usable = np.array([i for i, reason in enumerate(reasons) if reason is None], dtype=np.int64)
    mean = np.full((len(crystals), len(module.config.targets)), np.nan)
    uncertainty = np.full_like(mean, np.nan)
    for start in range(0, len(usable), _CRYSTALS_AT_ONCE):
        chosen = usable[start : start + _CRYSTALS_AT_ONCE]
        store = GraphStore(crystals.take(chosen), module.config.cutoff, device)
        for indices, graph in store.batches():
            with torch.no_grad():
                found, spread = module.predict(graph)
            mean[chosen[indices]], uncertainty[chosen[indices]] = found.cpu().numpy(), spread.cpu().numpy()
    targets = module.config.targets
    return Prediction(
        {name: mean[:, i] for i, name in enumerate(targets)},
        {name: uncertainty[:, i] for i, name in enumerate(targets)},
        reasons,
    )


def predict_all(
    crystals: Crystals, model_paths: Sequence[str | Path], device: torch.device | str = "cpu"
) -> Prediction:
    """Predict by several models; where they share a property, return mean and combined uncertainty.

    The variance of the combination is the mean of the models' variances plus the variance between them.
    """
    found = [predict(crystals, path, device) for path in model_paths]
    values, uncertainty = {}, {}
    for name in dict.fromkeys(name for prediction in found for name in prediction.values):
        mine = [p for p in found if name in p.values]
        stacked = np.stack([p.values[name] for p in mine])
        errors = np.stack([p.uncertainty[name] for p in mine])
        values[name] = stacked.mean(axis=0)
        if len(mine) > 1:
            uncertainty[name] = np.sqrt(stacked.var(axis=0) + np.nan_to_num(errors**2).mean(axis=0))
        else:
            uncertainty[name] = errors[0]
    reasons = [next((r for r in column if r), None) for column in zip(*(p.reasons for p in found), strict=True)]
    return Prediction(values, uncertainty, reasons if found else [None] * len(crystals))
