"""CalcJob that trains one network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.orm import ArrayData, SinglefileData

from icsg3d_models.settings import StageSettings
from icsg3d_models.settings.network_options import read_options

from ..data import CrystalDatasetData, TrainedModelData
from ..data.remote_files import RemoteFolder
from .base import StageCalculation, check_network
from .files import InputFile

DEADLINE_SHARE = 0.9  # of the wall time: the rest is for the last checkpoint, the test and the model file
CHECKPOINT = "checkpoint"
FINGERPRINT = "fingerprint.h5"
NEEDED = {"vae": "unet", "prior": "vae"}  # network -> model it is trained upon


class TrainCalculation(StageCalculation):
    """Train a U-Net, a VAE (on a U-Net), a latent prior (on a VAE), a CGCNN or a VoxelNet."""

    stage = "train"
    files = (
        InputFile("dataset", "dataset", "dataset.h5"),
        InputFile("unet", "unet", "unet.safetensors"),
        InputFile("vae", "vae", "vae.safetensors"),
        InputFile("initial", "start_from", "initial.safetensors"),
        InputFile("checkpoint_folder", "resume_from", "resume", path=CHECKPOINT),
    )
    retrieved_files = ("model.safetensors", "metrics.csv", FINGERPRINT)
    stashed_files = (CHECKPOINT,)

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare inputs and outputs."""
        super().define(spec)
        spec.input("dataset", valid_type=CrystalDatasetData, help="Crystals, properties and split.")
        spec.input("unet", valid_type=TrainedModelData, required=False, help="Trained U-Net (for a VAE).")
        spec.input("vae", valid_type=TrainedModelData, required=False, help="Trained VAE (for a prior).")
        spec.input(
            "initial",
            valid_type=TrainedModelData,
            required=False,
            help="Model of the same network to start from (fine-tuning): weights, elements, conditions and targets.",
        )
        spec.input(
            "checkpoint_folder",
            valid_type=RemoteFolder,
            required=False,
            help="Remote folder of an earlier training job on the same computer, or its stash; training goes on from "
            "its checkpoint.",
        )
        spec.output("model", valid_type=TrainedModelData, required=False, help="Best weights by validation loss.")
        spec.output("metrics", valid_type=ArrayData, required=False, help="Columns of metrics.csv, a row a validation.")
        spec.output(
            "fingerprint", valid_type=SinglefileData, required=False,
            help="Of the training set (written by a cgcnn): novelty can be judged by it without the data.",
        )  # fmt: skip

    @classmethod
    def check_inputs(cls, inputs: Mapping[str, Any], ports: Any) -> None:
        """Check that the models fit the network."""
        super().check_inputs(inputs, ports)
        network = inputs["settings"].get_dict().get("network")
        for name in ("unet", "vae"):
            if name in inputs:
                check_network(name, inputs[name], name)
        needed = NEEDED.get(network)
        if needed in ports and needed not in inputs:
            raise ValueError(f"a {network} is trained upon a {needed}; give the input `{needed}`")
        before = inputs.get(needed) if needed else None
        if before is not None:
            local = before.config.get("spacing") is not None
            preset = inputs["settings"].get_dict().get("preset")
            read_options(network, inputs["settings"].get_dict().get("options", {}), local, preset)
        if "initial" in inputs and network is not None:
            check_network("initial", inputs["initial"], network)
        cls.check_targets(inputs)

    @classmethod
    def check_targets(cls, inputs: Mapping[str, Any]) -> None:
        """Check that dataset and initial model have what the settings name.

        :raises ValueError: a target that one of them does not have.
        """
        settings = inputs["settings"].get_dict()
        renamed = settings.get("targets_from", {})
        own = inputs["initial"].config.get("targets", []) if "initial" in inputs else None
        if own is not None and (foreign := sorted(set(renamed) - set(own))):
            raise ValueError(
                f"targets_from names {', '.join(foreign)}; initial (PK {inputs['initial'].pk}) has "
                f"{', '.join(own) or 'no target'}"
            )
        # a prior may have conditions that these data know nothing of
        kept = [] if own is None or settings.get("network") == "prior" else [renamed.get(name, name) for name in own]
        emphasised = [settings["emphasis"].get("property")] if settings.get("emphasis") else []
        targets = [*(settings.get("targets") or kept), *emphasised]
        unknown = sorted(set(targets) - set(inputs["dataset"].properties)) if "dataset" in inputs else []
        if unknown:
            known = ", ".join(inputs["dataset"].properties) or "no property"
            raise ValueError(f"targets {', '.join(unknown)} are not in the dataset, which has {known}")

    def final_settings(self) -> StageSettings:
        """Return the settings, with a deadline before the scheduler's."""
        settings = super().final_settings()
        limit = self.inputs.metadata.options.get("max_wallclock_seconds")
        if limit is None:
            return settings
        deadlines = [DEADLINE_SHARE * limit, getattr(settings, "deadline_seconds", None)]
        return settings.model_copy(update={"deadline_seconds": min(d for d in deadlines if d is not None)})
