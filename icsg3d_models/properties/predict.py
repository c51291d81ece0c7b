"""Properties of crystals by trained models, with uncertainties, and the reason where there is no prediction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..crystals.batch import Crystals
from ..crystals.elements import SYMBOLS
from ..networks.cgcnn import CGCNN
from ..networks.model_file import PREDICTORS, read_header
from ..networks.registry import load_network
from ..networks.seeds.icsg3d_cgcnn import ICSG3DCGCNN
from ..networks.voxelnet import VoxelNet
from .graph_batches import GraphStore
from .reciprocal_batches import ReciprocalStore

_CRYSTALS_AT_ONCE = 2000
Predictor = CGCNN | VoxelNet | ICSG3DCGCNN


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


def load_predictor(path: str | Path, device: torch.device | str = "cpu") -> Predictor:
    """Return the network of a property model, ready to predict.

    :raises ModelFileError: not a model file of such a network, or weights that do not fit its configuration.
    """
    module = load_network(path, read_header(path, PREDICTORS).network, torch.device(device))
    assert isinstance(module, (CGCNN, VoxelNet, ICSG3DCGCNN))
    return module


def batches(module: Predictor, crystals: Crystals, device: torch.device | str) -> Iterator[tuple[np.ndarray, Any]]:
    """Yield crystals as (indices, batch) in the form that the network takes."""
    if isinstance(module, ICSG3DCGCNN):
        return GraphStore(crystals, module.config.cutoff, device, module.config.nearest).batches()
    if isinstance(module, CGCNN):
        return GraphStore(crystals, module.config.cutoff, device).batches()
    return ReciprocalStore(crystals, module.limit, device).batches()


def predict(crystals: Crystals, model_path: str | Path, device: torch.device | str = "cpu") -> Prediction:
    """Predict the properties of a batch of crystals with valid structures by one model."""
    module = load_predictor(model_path, device)
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
        for indices, batch in batches(module, crystals.take(chosen), device):
            with torch.no_grad():
                found, spread = module.predict(batch)
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
