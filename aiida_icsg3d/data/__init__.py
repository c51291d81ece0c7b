"""Data types of the plugin: crystal datasets and trained models."""

from .dataset import CrystalDatasetData
from .model import TrainedModelData

__all__ = ("CrystalDatasetData", "TrainedModelData")
