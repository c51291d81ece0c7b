"""What the networks of fields have in common: batches whose crystals share a grid, and the parts they are judged on."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from ..field_data import GridBatches, batches_of_one_grid
from ..task import Network, Task


class FieldTask(Task[Network]):
    """A network that takes the fields of crystals.

    :ivar data: the crystals of every part, with their grids.
    """

    data: GridBatches

    def batches(self, size: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Return the batches of one epoch; the crystals of one share a grid."""
        if self.data.spacing is None:
            return super().batches(size, rng)
        rows = self.seen()
        return [rows[some] for some in batches_of_one_grid(self.data.sizes["train"][rows], size, rng)]

    @abstractmethod
    def evaluate(self, module: Network, part: str) -> dict[str, float]:
        """Return metrics of one part."""

    def validate(self, module: Network) -> dict[str, float]:
        """Return the metrics of the validation part (of the training part where that is empty)."""
        return self.evaluate(module, "validation" if len(self.data.parts["validation"]) else "train")

    def test(self, module: Network) -> dict[str, float]:
        """Return the metrics of the test part."""
        return self.evaluate(module, "test") if len(self.data.parts["test"]) else {}
