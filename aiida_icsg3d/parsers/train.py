"""Parser of the stage ``train``."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from aiida.orm import ArrayData, SinglefileData

from ..calculations.train import FINGERPRINT
from ..data import TrainedModelData
from .base import StageParser


class TrainParser(StageParser):
    """Attach the model and the metrics; both also where the deadline or a signal ended the training."""

    def attach_outputs(self, results: dict[str, Any]) -> None:
        """Attach ``metrics``, ``model`` and ``fingerprint``."""
        names = self.retrieved.base.repository.list_object_names()
        if results["status"] == "completed" or "metrics.csv" in names:
            self.out("metrics", self.read_output("metrics.csv", read_metrics))
        model = self.read_output("model.safetensors", TrainedModelData)
        model.label = model.network
        self.out("model", model)
        if FINGERPRINT in names:
            self.out("fingerprint", self.read_output(FINGERPRINT, SinglefileData))


def read_metrics(path: Path) -> ArrayData:
    """Return the columns of metrics.csv, one float64 array (n validations,) each; empty cells are NaN.

    An array takes letters, digits and underscores only: in its name all others become underscores, as those of
    ``mae_e_above_hull@LDA-51ceafd9``, a property of one fidelity.

    :raises ValueError: two columns get one name, no row, a row that is cut off, or a cell that is no number.
    """
    with open(path, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    if not rows:
        raise ValueError("no row of metrics in the file")
    if None in rows[-1].values():
        raise ValueError(f"row {len(rows)} is cut off")
    arrays = ArrayData()
    for name in rows[0]:
        values = [float(row[name]) if row[name] else math.nan for row in rows]
        label = re.sub(r"[^0-9A-Za-z_]", "_", name)
        if label in arrays.get_arraynames():
            raise ValueError(f"the columns {', '.join(rows[0])}: two of them become {label}")
        arrays.set_array(label, np.asarray(values, dtype=np.float64))
    return arrays
