"""Training crystals that are seen more often than others."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from icsg3d_models.data.datasets import Dataset
from icsg3d_models.networks.registry import load_network
from icsg3d_models.results import Report, StageError
from icsg3d_models.settings import TrainSettings
from icsg3d_models.settings.train import Emphasis
from icsg3d_models.training.tasks.cgcnn_task import CGCNNTask
from icsg3d_models.training.tasks.unet_task import UNetTask
from icsg3d_models.training.train import run
from tests.models.conftest import perovskites

HEAT = "formation_energy_per_atom"


def seen(task: Any, size: int = 4) -> Counter[int]:
    """Return how often each training crystal is in the batches of an epoch."""
    return Counter(np.concatenate(task.batches(size, np.random.default_rng(0))).tolist())


@pytest.mark.parametrize("options", [{"width": 8}, {"width": 8, "spacing": 0.5}])
def test_some_are_seen_more_often(dataset: Dataset, options: dict[str, Any]) -> None:
    """Those between the bounds, bounds included; unknown values as often as without."""
    values = dataset.values(HEAT).copy()
    train = dataset.part("train")
    values[train[0]] = np.nan
    partial = Dataset(dataset.crystals, {HEAT: values}, dataset.split)
    settings = TrainSettings.model_validate({"network": "unet", "options": options})
    task = UNetTask.build(settings, partial, torch.device("cpu"))
    assert max(seen(task, 1).values()) == 1
    bound = float(np.nanmedian(values[train]))
    count = task.emphasise(Emphasis(property=HEAT, at_most=bound, times=5), partial)
    wanted = {i: 5 if values[row] <= bound else 1 for i, row in enumerate(train)}
    assert count == list(wanted.values()).count(5)
    assert seen(task, 1) == wanted


def test_places_of_those_that_have_a_target(dataset: Dataset) -> None:
    """Crystals without a target take no part in the training of a property model; the numbers of the others move."""
    values = dataset.values(HEAT).copy()
    train = dataset.part("train")
    values[train[:3]] = np.nan
    partial = Dataset(dataset.crystals, {HEAT: values, "mark": np.arange(float(len(values)))}, dataset.split)
    settings = TrainSettings(network="cgcnn", targets=[HEAT])
    task = CGCNNTask.build(settings, partial, torch.device("cpu"))
    fifth = float(train[5])
    assert task.emphasise(Emphasis(property="mark", at_least=fifth, at_most=fifth, times=7), partial) == 1
    assert seen(task, 1)[2] == 7


def test_nothing_to_emphasise_is_refused(dataset: Dataset) -> None:
    task = CGCNNTask.build(TrainSettings(network="cgcnn", targets=[HEAT]), dataset, torch.device("cpu"))
    with pytest.raises(StageError, match="no training crystal has formation_energy_per_atom between 99 and inf"):
        task.emphasise(Emphasis(property=HEAT, at_least=99), dataset)


def test_a_prior_makes_more_of_what_is_emphasised(tmp_path: Path) -> None:
    """Fine-tuned towards large cells, its samples have larger cells than those of the same steps without."""
    dataset = perovskites()
    volume = dataset.crystals.volumes
    full = Dataset(dataset.crystals, {HEAT: dataset.values(HEAT), "volume": volume}, dataset.split)
    full.write(tmp_path / "dataset.h5")
    common: dict[str, Any] = {"device": "cpu", "threads": 1, "optimiser": {"max_steps": 150, "max_epochs": 99,
                                                                           "batch_size": 8}}  # fmt: skip
    chain = [
        {"network": "unet", "output": "unet.safetensors", "options": {"width": 8}},
        {"network": "vae", "output": "vae.safetensors", "unet": "unet.safetensors",
         "options": {"width": 8, "latent": 8}},
        {"network": "prior", "output": "prior.safetensors", "vae": "vae.safetensors",
         "options": {"width": 32, "depth": 1}},
    ]  # fmt: skip
    for settings in chain:
        run(TrainSettings.model_validate({**common, **settings}), Report("train", tmp_path, quiet=True))
    large = {"property": "volume", "at_least": float(np.quantile(volume, 0.8)), "times": 20}
    sizes = {}
    for name, emphasis in (("plain", None), ("large", large)):
        tuned = {"network": "prior", "vae": "vae.safetensors", "start_from": "prior.safetensors",
                 "output": f"{name}.safetensors", "emphasis": emphasis}  # fmt: skip
        report = Report("train", tmp_path, quiet=True)
        run(TrainSettings.model_validate({**common, **tuned}), report)
        assert report.counts.get("emphasised", 0) == (0 if emphasis is None else np.sum(
            volume[dataset.part("train")] >= large["at_least"]))  # fmt: skip
        prior = load_network(tmp_path / f"{name}.safetensors", "prior", torch.device("cpu"))
        vae = load_network(tmp_path / "vae.safetensors", "vae", torch.device("cpu"))
        latents = torch.cat([batch.latent for batch in prior.draw({}, 200, 0)])
        with torch.no_grad():
            sizes[name] = float(torch.linalg.det(vae.decode(latents, None)[2]).abs().mean())
    assert sizes["large"] > sizes["plain"] + 0.3 * float(np.std(volume))
