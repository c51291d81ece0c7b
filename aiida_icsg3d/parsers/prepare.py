"""Parser of the stage ``prepare``."""

from __future__ import annotations

from typing import Any

from ..data import CrystalDatasetData
from .base import StageParser


class PrepareParser(StageParser):
    """Attach the dataset."""

    def attach_outputs(self, results: dict[str, Any]) -> None:
        """Attach ``dataset``."""
        dataset = self.read_output("dataset.h5", CrystalDatasetData)
        dataset.label = dataset.base.attributes.get("name")
        self.out("dataset", dataset)
