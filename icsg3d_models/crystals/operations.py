"""Operations of a space group in the reduced cell of a crystal, and cells that have them.

An operation takes fractional coordinates x to W x + t. In a reduced cell the same group has other matrices than in the
tables' cell: which, a :class:`Setting` says, by the number of the group's setting in the tables (Hall) and the vectors
of the reduced cell in their basis. A metric G = L L^T belongs to the group where W^T G W = G for all its operations;
the mean of W^T G W over the group always does (International Tables A, 10.1107/97809553602060000114).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .batch import Crystals
from .symmetry import SYMPREC

PARTS = 6  # a reduced cell's vectors are sixths of those of the tables
FRACTIONS = 24  # so are translations 24ths of a vector, about an origin of the tables


@dataclass(frozen=True)
class Setting:
    """Where the operations of a crystal stand in its cell.

    :param hall: number in the tables, 1 to 530; 0: nothing is known of its symmetry.
    :param change: (3, 3) int, its vectors as columns, in sixths of those of the tables.
    :param origin: (3,) fractional coordinates of the origin of the tables.
    """

    hall: int
    change: np.ndarray
    origin: np.ndarray


NO_SETTING = Setting(0, np.zeros((3, 3), dtype=np.int8), np.zeros(3))


def setting_in(cell: np.ndarray, frac: np.ndarray, numbers: np.ndarray) -> Setting:
    """Return where the operations of a crystal stand; :data:`NO_SETTING` where spglib finds none."""
    import spglib

    crystal: Any = (cell, frac, numbers)
    found = spglib.get_symmetry_dataset(crystal, symprec=SYMPREC)
    if found is None:
        return NO_SETTING
    change = PARTS * np.asarray(found.transformation_matrix)
    whole = np.rint(change)
    if np.abs(change - whole).max() > 1e-3 or np.abs(whole).max() > 127:
        return NO_SETTING
    if not _is_primitive(int(found.hall_number), whole / PARTS):
        return NO_SETTING
    origin = -np.linalg.solve(found.transformation_matrix, found.origin_shift)
    return Setting(int(found.hall_number), whole.astype(np.int8), origin % 1.0)


def symmetry_settings(crystals: Crystals) -> list[Setting]:
    """Return :func:`setting_in` of every crystal."""
    return [setting_in(crystals.cell[row], *crystals.sites(row)) for row in range(len(crystals))]


def _is_primitive(hall: int, to_tables: np.ndarray) -> bool:
    """Return whether the operations of the tables are those of a cell: in a larger one they are no whole numbers."""
    import spglib

    tables, back = spglib.get_symmetry_from_database(hall), np.linalg.inv(to_tables)
    assert tables is not None, hall
    turns, shifts = back @ tables["rotations"] @ to_tables, FRACTIONS * (tables["translations"] @ back.T)
    return all(bool(np.abs(each - np.rint(each)).max() < 1e-3) for each in (turns, shifts))


@lru_cache(maxsize=4096)
def _about_origin(hall: int, change: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return the operations about the origin of the tables, (O, 3, 3) int and (O, 3)."""
    import spglib

    to_tables = np.frombuffer(change, dtype=np.int8).reshape(3, 3) / PARTS
    back = np.linalg.inv(to_tables)
    tables = spglib.get_symmetry_from_database(hall)
    assert tables is not None, hall
    rotations = np.rint(back @ tables["rotations"] @ to_tables).astype(np.int64)
    shifts = np.rint(FRACTIONS * (tables["translations"] @ back.T)).astype(np.int64) % FRACTIONS
    # The tables list each operation once for every centring of their cell, which is none of this one.
    rows = np.unique(np.concatenate([rotations.reshape(-1, 9), shifts], axis=1), axis=0)
    return rows[:, :9].reshape(-1, 3, 3), rows[:, 9:] / FRACTIONS


def operations_of(setting: Setting, about: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rotations (O, 3, 3) and translations (O, 3) of a crystal moved so that a point is its origin.

    :param about: (3,) fractional coordinates of the point.
    """
    if setting.hall == 0:
        return np.eye(3, dtype=np.int64)[None], np.zeros((1, 3))
    rotations, shifts = _about_origin(setting.hall, setting.change.astype(np.int8).tobytes())
    point = about - setting.origin
    return rotations, (shifts + rotations @ point - point) % 1.0


@dataclass(frozen=True)
class Operations:
    """Operations of several crystals.

    :param rotations: (B, O, 3, 3); ``translations``: (B, O, 3).
    :param share: (B, O) one over the number of operations of the crystal, 0 where there is none.
    """

    rotations: Tensor
    translations: Tensor
    share: Tensor

    @classmethod
    def together(cls, each: list[tuple[np.ndarray, np.ndarray]]) -> Operations:
        """Return the operations of crystals as one batch."""
        most = max((len(shifts) for _, shifts in each), default=1)
        rotations = np.tile(np.eye(3), (len(each), most, 1, 1))
        translations, share = np.zeros((len(each), most, 3)), np.zeros((len(each), most))
        for row, (turns, shifts) in enumerate(each):
            count = len(shifts)
            rotations[row, :count], translations[row, :count], share[row, :count] = turns, shifts, 1 / count
        return cls(*(torch.tensor(a, dtype=torch.float32) for a in (rotations, translations, share)))

    def take(self, rows: Tensor) -> Operations:
        """Return those of the chosen crystals, without columns that none of them needs."""
        most = max(1, int((self.share[rows] > 0).sum(dim=1).max())) if len(rows) else 1
        return Operations(self.rotations[rows, :most], self.translations[rows, :most], self.share[rows, :most])

    def about(self, origin: Tensor, sign: Tensor) -> Operations:
        """Return those of the crystals moved so that a point is the origin, and inverted in it where the sign is -1.

        :param origin: (B, 3) fractional coordinates. :param sign: (B, 1).
        """
        moved = torch.einsum("boij,bj->boi", self.rotations, origin) - origin[:, None] + self.translations
        return Operations(self.rotations, (sign[:, None] * moved) % 1.0, self.share)

    def to(self, device: torch.device) -> Operations:
        """Return the same on a device."""
        return Operations(self.rotations.to(device), self.translations.to(device), self.share.to(device))

    def of(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Return rotations (O, 3, 3) and translations (O, 3) of one crystal."""
        count = int((self.share[row] > 0).sum())
        return self.rotations[row, :count].cpu().numpy(), self.translations[row, :count].cpu().numpy()


def symmetric_cells(cell: Tensor, operations: Operations) -> Tensor:
    """Return the cells whose metric is the mean over the operations, (B, 3, 3) Å, symmetric matrices."""
    turns = operations.rotations.double()
    metric = (cell @ cell.transpose(1, 2)).double()
    each = turns.transpose(2, 3) @ metric[:, None] @ turns
    mean = (operations.share.double()[:, :, None, None] * each).sum(dim=1)
    values, vectors = torch.linalg.eigh(mean)
    root = vectors @ torch.diag_embed(values.clamp(min=1e-6).sqrt()) @ vectors.transpose(1, 2)
    return root.to(cell.dtype)
