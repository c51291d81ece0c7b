"""CalcJob that draws latents and decodes them into fields."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiida.common.folders import Folder
from aiida.orm import StructureData

from icsg3d_models.conditions import not_taken
from icsg3d_models.conditions.target import target_name
from icsg3d_models.crystals.batch import CrystalError
from icsg3d_models.networks.classes import CLASSES
from icsg3d_models.settings import SampleSettings

from ..data import CrystalDatasetData, TrainedModelData
from ..data.structures import crystals_of_nodes
from .base import StageCalculation, check_network, check_part
from .base_crystals import BASE_FILE, write_structures
from .files import InputFile


class SampleCalculation(StageCalculation):
    """Draw latents and decode them; the fields stay in the remote folder as fields.h5."""

    stage = "sample"
    remote_files = stashed_files = ("fields.h5",)
    files = (
        InputFile("vae", "vae", "vae.safetensors"),
        InputFile("prior", "prior", "prior.safetensors"),
        InputFile("base", "base", BASE_FILE, written=True),
        InputFile("dataset", "base", BASE_FILE),
    )

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare inputs."""
        super().define(spec)
        spec.input("vae", valid_type=TrainedModelData, help="Trained VAE.")
        spec.input(
            "prior", valid_type=TrainedModelData, required=False,
            help="Fitted latent prior; without it latents are drawn from N(0, 1), as ICSG3D did.",
        )  # fmt: skip
        spec.input_namespace(
            "base", valid_type=StructureData, required=False, dynamic=True,
            help="Base crystals of all modes but `prior`, by a name.",
        )  # fmt: skip
        spec.input(
            "dataset", valid_type=CrystalDatasetData, required=False,
            help="In place of `base`: base crystals of a dataset; `settings.base_part` takes one part of it.",
        )  # fmt: skip

    @classmethod
    def check_inputs(cls, inputs: Mapping[str, Any], ports: Any) -> None:
        """Check the models and that base crystals are given where the mode needs them, and only there."""
        super().check_inputs(inputs, ports)
        for name in ("vae", "prior"):
            if name in inputs:
                check_network(name, inputs[name], name)
        for name, node in inputs.get("base", {}).items():
            try:
                crystals_of_nodes({name: node})
            except CrystalError as exception:
                raise ValueError(f"base.{exception}") from None
        settings = inputs["settings"].get_dict()
        mode, n_base = settings.get("mode", "prior"), len(inputs.get("base", {}))
        if "vae" in inputs and mode == "prior":
            check_prior(inputs["vae"], inputs.get("prior"), SampleSettings.model_validate(settings).asked)
        if "base" not in ports:
            return
        if "dataset" in inputs:
            if n_base:
                raise ValueError("base crystals are given by `base` and by `dataset`; give one of the two")
            n_base = check_part("dataset", inputs["dataset"], settings.get("base_part"))
        elif settings.get("base_part") is not None:
            raise ValueError("settings.base_part is a part of the input `dataset`, which is not given")
        if mode == "prior" and n_base:
            raise ValueError(
                "base crystals are given, but mode is 'prior'; set mode to 'base', 'interpolate' or 'reconstruct'"
            )
        if mode == "interpolate" and n_base != 2:
            raise ValueError(f"mode 'interpolate' needs two base crystals, received {n_base}")

    def write_files(self, folder: Folder) -> None:
        """Write the base crystals."""
        if self.inputs.get("base"):
            write_structures(self.inputs.base, Path(folder.abspath) / BASE_FILE)


def check_prior(vae: TrainedModelData, prior: TrainedModelData | None, asked: Mapping[str, Any]) -> None:
    """Check that new crystals can be drawn, and under what is asked for.

    :raises ValueError: a VAE that needs a prior without one, the prior of another VAE, or one that was not trained with
        a condition that is asked for.
    """
    if prior is None and CLASSES[vae.class_name].needs_prior:
        raise ValueError(
            f"mode is 'prior', but the {vae.class_name} needs a fitted prior and none is given: give its `prior`, or "
            "set mode to 'base' and give `base`"
        )
    if prior is not None and not prior.fitted_to(vae):
        raise ValueError(f"the prior (PK {prior.pk}) was fitted to another VAE than that given (PK {vae.pk})")
    names = [block["name"] for block in prior.config.get("conditions", [])] if prior is not None else []
    if prior is None and "target" in vae.config:  # a conditional VAE
        names = [target_name(vae.config["target"])]
    if beyond := not_taken(asked, names):
        known = f"which was trained with {', '.join(names)}" if prior is not None else "and there is no prior"
        raise ValueError(f"{', '.join(beyond)}: cannot be asked of these models, {known}; `general` takes most")
