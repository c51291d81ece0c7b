"""What a system costs at its published size: parameters, and one training step of a crystal, timed."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from icsg3d_models.data.datasets import Dataset, read_dataset
from icsg3d_models.networks.model_file import ModelHeader, save_model
from icsg3d_models.phases.prototypes import library
from icsg3d_models.settings import TrainSettings
from icsg3d_models.training.train import SEED_TASKS, TASKS

CRYSTALS = 1  # of a step
TARGET = "formation_energy_per_atom"
NETWORKS = {"ours": ("unet", "vae", "prior", "cgcnn"), "icsg3d-2020": ("unet", "vae", "cgcnn"),
            "hoffmann-2019": ("unet", "vae"), "voxelnet": ("voxelnet",)}  # fmt: skip


def task_of(system: str, network: str, dataset: Dataset, folder: Path) -> Any:
    """Return the task of a network of the published size, with untrained networks before it."""
    import importlib
    from operator import attrgetter

    preset = None if system == "ours" else system
    files = {"vae": {"unet": str(folder / "unet.safetensors")}, "prior": {"vae": str(folder / "vae.safetensors")}}
    targets = [TARGET] if network in ("cgcnn", "voxelnet") else []
    settings = TrainSettings.model_validate(
        {"preset": preset, "network": network, "targets": targets, "device": "cpu", **files.get(network, {})}
    )
    module, _, name = {**TASKS, **SEED_TASKS.get(preset or "", {})}[network].partition(":")
    return attrgetter(name)(importlib.import_module(module))(settings, dataset, torch.device("cpu"))


def step_of(system: str, data: Path) -> dict[str, Any]:
    """Return of every network its parameters and the seconds of the process that a crystal takes in training.

    Beside it the crystals of the AFLOW library that the system can take, and the most sites of one of them.
    """
    torch.set_num_threads(1)
    whole = read_dataset(data)
    few = np.flatnonzero(whole.split == 0)[:8]
    dataset = Dataset(
        whole.crystals.take(few), {TARGET: whole.values(TARGET)[few]}, np.zeros(8, dtype=np.uint8), {}, "few"
    )
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        for network in NETWORKS[system]:
            task = task_of(system, network, dataset, Path(name))
            if network in ("unet", "vae"):
                header = ModelHeader(network, task.config, {}, type(task.module).__name__)
                save_model(Path(name) / f"{network}.safetensors", header, task.module.state_dict())
            task.module.train()
            start = time.process_time()
            loss, _ = task.loss(np.arange(CRYSTALS), torch.Generator().manual_seed(0), 0.5)
            loss.backward()
            found[network] = {
                "parameters": sum(p.numel() for p in task.module.parameters()),
                "seconds_a_crystal": (time.process_time() - start) / CRYSTALS,
            }
            print(system, network, found[network], flush=True)
            if network == "vae":
                found["prototypes"] = accepted(task.module)
    return found


def accepted(vae: Any) -> dict[str, int]:
    """Return how many of the ordered prototypes of AFLOW's library an autoencoder can encode, and the most sites."""
    from icsg3d_models.crystals.batch import Crystals

    structures = [entry.structure for entry in library() if entry.structure.is_ordered]
    crystals = Crystals.from_structures(structures)
    taken = [i for i, reason in enumerate(vae.refusals(crystals)) if reason is None]
    return {"all": len(crystals), "taken": len(taken), "most_sites": int(crystals.counts[taken].max(initial=0))}
