"""The space groups of the examples, as operations in the cells that new crystals like them have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..crystals.batch import Crystals
from ..crystals.operations import Setting, operations_of

HEAD = 11  # bytes of an example before its places: two of the number in the tables, nine of the change of cell
OFFSET = 128  # of a signed number in a byte
STEPS = 240  # of a coordinate in a byte: halves, thirds, quarters, fifths, sixths and eighths are whole


@dataclass(frozen=True)
class ExampleSymmetry:
    """Where the operations of each example stand.

    :param halls: (N,) number in the tables; 0: nothing is known.
    :param changes: (N, 3, 3) int8, see :class:`.operations.Setting`.
    :param places: (N, K, 3) fractional coordinates, from the origin of the tables, of one site of each element.
    """

    halls: np.ndarray
    changes: np.ndarray
    places: np.ndarray

    def take(self, rows: np.ndarray) -> ExampleSymmetry:
        """Return the chosen ones."""
        return ExampleSymmetry(self.halls[rows], self.changes[rows], self.places[rows])

    def operations(self, row: int, kind: int) -> tuple[np.ndarray, np.ndarray]:
        """Return rotations (O, 3, 3) and translations (O, 3) about a site of an element of an example."""
        setting = Setting(int(self.halls[row]), self.changes[row], np.zeros(3))
        return operations_of(setting, self.places[row, kind])

    def packed(self) -> np.ndarray:
        """Return it as bytes, (N, HEAD + 3 K)."""
        count = len(self.halls)
        head = np.stack([self.halls // 256, self.halls % 256], axis=1)
        changes = self.changes.reshape(count, 9).astype(np.int64) + OFFSET
        places = np.rint(STEPS * self.places).astype(np.int64).reshape(count, -1) % STEPS
        return np.concatenate([head, changes, places], axis=1).astype(np.uint8)


def unpacked(kept: np.ndarray) -> ExampleSymmetry:
    """Return what :meth:`ExampleSymmetry.packed` wrote."""
    count, rows = len(kept), kept.astype(np.int64)
    changes = (rows[:, 2:HEAD] - OFFSET).reshape(count, 3, 3).astype(np.int8)
    return ExampleSymmetry(rows[:, 0] * 256 + rows[:, 1], changes, rows[:, HEAD:].reshape(count, -1, 3) / STEPS)


def symmetry_of(crystals: Crystals, kinds: np.ndarray, settings: Sequence[Setting]) -> ExampleSymmetry:
    """Return where the operations of crystals stand in the cells in which they are given.

    :param kinds: (B, K) atomic numbers of their elements, 0 where there are fewer.
    :param settings: (B,) see :func:`.operations.setting_in`.
    """
    halls, changes = np.zeros(len(crystals), dtype=np.int64), np.zeros((len(crystals), 3, 3), dtype=np.int8)
    places = np.zeros((*kinds.shape, 3))
    for row in range(len(crystals)):
        frac, numbers = crystals.sites(row)
        setting = settings[row]
        halls[row], changes[row] = setting.hall, setting.change
        for place, kind in enumerate(kinds[row]):
            if kind and setting.hall:
                places[row, place] = (frac[np.flatnonzero(numbers == kind)[0]] - setting.origin) % 1.0
    return ExampleSymmetry(halls, changes, places)
