"""The models that ship with the package, as nodes."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from aiida.orm import QueryBuilder, SinglefileData

from .model import TrainedModelData

FINGERPRINT = "fingerprint"
PREDICTOR_SET = "perov5"  # whose property models stand in where a set has none


def pretrained_models(name: str, store: bool = True) -> dict[str, Any]:
    """Return ``vae``, ``unet``, ``prior`` and ``predictors`` of a pretrained set, as nodes.

    A set without property models takes those of perovskites, which know what they were trained on and leave other
    elements without a prediction.

    :param store: False: what is not in the profile yet stays out of it.
    :raises ValueError: no such set; the message lists those there are.
    """
    folder = files("icsg3d_models") / "pretrained"
    models: dict[str, Any] = {n: TrainedModelData.from_pretrained(name, n, store) for n in ("vae", "unet")}
    if (folder / name / "prior.safetensors").is_file():
        models["prior"] = TrainedModelData.from_pretrained(name, "prior", store)
    judge = name if (folder / name / "cgcnn.safetensors").is_file() else PREDICTOR_SET
    return {**models, "predictors": {"cgcnn": TrainedModelData.from_pretrained(judge, "cgcnn", store)}}


def pretrained_fingerprint(name: str, store: bool = True) -> SinglefileData | None:
    """Return the fingerprint of the training set of a pretrained set, None where it has none.

    The node of an earlier run is taken where the content is the same.
    """
    folder = files("icsg3d_models") / "pretrained" / name
    entries = [e for e in folder.iterdir() if e.name.startswith(FINGERPRINT)] if folder.is_dir() else []
    if not entries:
        return None
    content = entries[0].read_bytes()
    label = f"{name} {FINGERPRINT}"
    query = QueryBuilder().append(SinglefileData, filters={"label": label})
    for node in query.all(flat=True):
        if node.get_content(mode="rb") == content:
            return node
    node = SinglefileData.from_bytes(content, filename=entries[0].name, label=label)
    return node.store() if store else node
