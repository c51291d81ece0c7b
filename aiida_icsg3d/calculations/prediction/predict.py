"""CalcJob that predicts the crystal structures of a composition: all stages from sampling to ranking in one job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.orm import SinglefileData, StructureData

from icsg3d_models.settings import PredictSettings

from ...data import TrainedModelData
from ..base import StageCalculation, check_network
from ..bulk import StoresCrystals
from ..files import InputFile
from ..sample import check_prior

CRYSTALS = "predicted.h5"
TABLE = "predicted.csv"


class PredictCalculation(StoresCrystals, StageCalculation):
    """Sample a composition in cells of every size, group equal crystals and rank them; each distinct one is a node."""

    stage = "predict"
    files = (
        InputFile("vae", "vae", "vae.safetensors"),
        InputFile("unet", "unet", "unet.safetensors"),
        InputFile("prior", "prior", "prior.safetensors"),
    )
    retrieved_files = (CRYSTALS, TABLE)

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare inputs and outputs."""
        super().define(spec)
        for name in ("vae", "unet", "prior"):
            spec.input(name, valid_type=TrainedModelData, help=f"Trained {name}.")
        spec.output(
            "table", valid_type=SinglefileData, required=False,
            help="predicted.csv, one row a distinct crystal, the best first: how many samples came to it, space group, "
            "energy by the potential where there is one.",
        )  # fmt: skip
        spec.output_namespace(
            "crystals", valid_type=StructureData, dynamic=True, required=False,
            help="Every distinct crystal by its id; label `FORMULA ID`, the description has the rank.",
        )  # fmt: skip

    @classmethod
    def check_inputs(cls, inputs: Mapping[str, Any], ports: Any) -> None:
        """Check the models, and that the prior takes what is asked for."""
        super().check_inputs(inputs, ports)
        for name in ("vae", "unet", "prior"):
            if name in inputs:
                check_network(name, inputs[name], name)
        if "vae" in inputs and "prior" in inputs:
            settings = PredictSettings.model_validate(inputs["settings"].get_dict())
            asked = {"composition": settings.composition, "n_atoms": settings.sizes[0], **settings.asked}
            check_prior(inputs["vae"], inputs["prior"], asked)
