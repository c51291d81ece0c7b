"""CalcJob that segments fields into atoms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..data import TrainedModelData
from ..data.remote_files import RemoteFolder
from .base import StageCalculation, check_network
from .files import InputFile


class SegmentCalculation(StageCalculation):
    """Segment the fields of a sample job; the segments stay in the remote folder as segments.h5."""

    CACHE_VERSION = 4  # 4: the likeliest elements of every region, which a composition asked for needs
    stage = "segment"
    remote_files = stashed_files = ("segments.h5",)
    files = (
        InputFile("unet", "unet", "unet.safetensors"),
        InputFile("fields_folder", "fields", "fields.h5"),
    )

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare inputs."""
        super().define(spec)
        spec.input("unet", valid_type=TrainedModelData, help="Trained U-Net.")
        spec.input(
            "fields_folder",
            valid_type=RemoteFolder,
            help="Remote folder of the sample job, or its stash, with fields.h5.",
        )

    @classmethod
    def check_inputs(cls, inputs: Mapping[str, Any], ports: Any) -> None:
        """Check the model."""
        super().check_inputs(inputs, ports)
        if "unet" in inputs:
            check_network("unet", inputs["unet"], "unet")
