"""The dataset that a campaign begins with where it is given none."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from aiida.engine import calcfunction

from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.data.datasets import Dataset

from ...data import CrystalDatasetData


@calcfunction
def empty_dataset() -> CrystalDatasetData:
    """Return a dataset without crystals, to which rounds add what DFT says."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / CrystalDatasetData.DEFAULT_FILENAME
        Dataset(Crystals.from_arrays([], [], [], []), {}, np.zeros(0, dtype=np.uint8), {}, "found by DFT").write(path)
        return CrystalDatasetData(path)
